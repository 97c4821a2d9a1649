"""The Kafka edge: consumer, transactional producer, topics and offsets. Topics and groups are arguments. It knows no business."""
