// A link is ended by its id.
CREATE CONSTRAINT link_id IF NOT EXISTS FOR ()-[l:LINKED_TO]-() REQUIRE l.id IS UNIQUE;
