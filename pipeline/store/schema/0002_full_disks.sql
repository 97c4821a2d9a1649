-- A disk that fills up must not damage what is stored. Without these settings, a merge on a full disk left a part with an empty
-- file behind, and reading it failed. A merged part is synced before it replaces its sources, which shows that it could be written.
-- Inserts stop while less than 100 MB are free, so that merges have room.

ALTER TABLE events MODIFY SETTING min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, min_free_disk_bytes_to_perform_insert = 100000000;
ALTER TABLE event_bodies MODIFY SETTING min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, min_free_disk_bytes_to_perform_insert = 100000000;
ALTER TABLE outcomes MODIFY SETTING min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, min_free_disk_bytes_to_perform_insert = 100000000;
ALTER TABLE group_hours MODIFY SETTING min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, min_free_disk_bytes_to_perform_insert = 100000000;
ALTER TABLE tag_days MODIFY SETTING min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, min_free_disk_bytes_to_perform_insert = 100000000;
ALTER TABLE outcome_hours MODIFY SETTING min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, min_free_disk_bytes_to_perform_insert = 100000000;
ALTER TABLE group_overrides MODIFY SETTING min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1;
ALTER TABLE event_overrides MODIFY SETTING min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1;
ALTER TABLE group_status MODIFY SETTING min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1;
