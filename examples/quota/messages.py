"""Print ingest messages, one a line: fifty that arrive in one second, and ten half a minute later."""

import json

ARRIVAL_S = 1_795_348_800  # 2026-11-22T12:00:00Z

for number in range(60):
    message = {
        "type": "event",
        "project_id": 1,
        "event_id": f"{number + 1:032x}",
        "start_time": ARRIVAL_S + (0 if number < 50 else 30),
        "payload": {"message": f"stock of item {number} is low", "platform": "python"},
    }
    print(json.dumps(message))
