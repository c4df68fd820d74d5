-- Functions of SQLite that the store's rooms use, with the meaning they have there.

CREATE OR REPLACE FUNCTION instr(whole text, part text) RETURNS integer
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$ SELECT strpos(whole, part) $$;

CREATE OR REPLACE FUNCTION max(a bigint, b bigint) RETURNS bigint
  LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT CASE WHEN a IS NOT NULL AND b IS NOT NULL THEN GREATEST(a, b) END $$;

CREATE OR REPLACE FUNCTION min(a bigint, b bigint) RETURNS bigint
  LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT CASE WHEN a IS NOT NULL AND b IS NOT NULL THEN LEAST(a, b) END $$;

-- date(seconds, 'unixepoch')
CREATE OR REPLACE FUNCTION date(seconds bigint, how text) RETURNS text
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  AS $$ SELECT to_char(to_timestamp(seconds) AT TIME ZONE 'UTC', 'YYYY-MM-DD') $$;

CREATE OR REPLACE FUNCTION json_each(document text) RETURNS TABLE (value text)
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$ SELECT json_array_elements_text(document::json) $$;

-- Of a path $."name". Numbers are text here: whoever compares them casts, which SQLite passes over.
CREATE OR REPLACE FUNCTION json_extract(document text, path text) RETURNS text
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE json_typeof(found)
      WHEN 'boolean' THEN CASE found #>> '{}' WHEN 'true' THEN '1' ELSE '0' END
      WHEN 'null' THEN NULL
      ELSE found #>> '{}' END
    FROM (SELECT document::json -> substr(path, 4, length(path) - 4) AS found) held
  $$;

CREATE OR REPLACE FUNCTION json_type(document text, path text) RETURNS text
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE json_typeof(found)
      WHEN 'string' THEN 'text' WHEN 'number' THEN 'real' WHEN 'boolean' THEN 'true' ELSE json_typeof(found) END
    FROM (SELECT document::json -> substr(path, 4, length(path) - 4) AS found) held
  $$;

-- A condition is a number in SQLite.
CREATE OR REPLACE FUNCTION count_true(total bigint, holds boolean) RETURNS bigint
  LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT CASE WHEN holds THEN total + 1 ELSE total END $$;

DO $$ BEGIN
  CREATE AGGREGATE sum(boolean) (sfunc = count_true, stype = bigint, initcond = '0');
EXCEPTION WHEN duplicate_function THEN NULL;
END $$;
