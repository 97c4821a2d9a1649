"""The web views of a service's process: pages and metrics, as a probe and Prometheus read them."""

from __future__ import annotations

import urllib.error
import urllib.request


class WebViews:
    """What a process serves on `web_port` of this machine."""

    web_port: int

    def page(self, path: str) -> tuple[int, str]:
        """Return status and text; 0 and "" if nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, name: str) -> float:
        """Return the sum of a metric's series."""
        lines = (line.rpartition(" ") for line in self.page("/metrics")[1].splitlines() if not line.startswith("#"))
        return sum(float(value) for label, _, value in lines if label.partition("{")[0] == name)
