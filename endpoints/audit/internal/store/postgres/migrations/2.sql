-- item and event hold texts as package packed makes them, from now on. What is stored stays as it is: both can be read. A program
-- that knows plain texts only refuses this version.
COMMENT ON COLUMN audit_events.item IS 'what lists show, JSON, plain or packed';
COMMENT ON COLUMN audit_events.event IS 'as it came, JSON, plain or packed';
