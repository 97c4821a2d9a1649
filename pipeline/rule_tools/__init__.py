"""Tools that try rules out on recorded events: cases, the difference between two versions, unused and suspicious rules.

They run the stages up to grouping. They count nothing in Redis and store nothing.
"""
