CREATE TABLE meta (key text PRIMARY KEY, value text NOT NULL);
INSERT INTO meta VALUES ('format', '0'), ('generation', '1');
-- A row for each source that was ever written, which its writer locks; in order, so that no two wait for each other.
CREATE TABLE sources (source text COLLATE "C" PRIMARY KEY);
CREATE TABLE documents (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, source text COLLATE "C" NOT NULL UNIQUE, title text NOT NULL,
    content_hash text NOT NULL, characters bigint NOT NULL, chunks bigint NOT NULL, tokens bigint NOT NULL,
    generation bigint NOT NULL, metadata text COLLATE "C" NOT NULL, modified text COLLATE "C",
    text_checksum bigint NOT NULL, checksum bigint NOT NULL DEFAULT 0, stamp text,
    folded_title text COLLATE "C" NOT NULL
);
CREATE INDEX documents_of_content ON documents (content_hash);
CREATE TABLE texts (
    document_id bigint REFERENCES documents ON DELETE CASCADE, piece int, text bytea NOT NULL,
    PRIMARY KEY (document_id, piece)
);
ALTER TABLE texts ALTER COLUMN text SET STORAGE EXTERNAL;
CREATE SEQUENCE chunk_ids;
CREATE TABLE chunks (
    id bigint PRIMARY KEY, document_id bigint NOT NULL REFERENCES documents ON DELETE CASCADE, heading text NOT NULL,
    page bigint, "start" bigint NOT NULL, "end" bigint NOT NULL, line bigint NOT NULL, tokens bigint NOT NULL,
    checksum bigint NOT NULL
);
CREATE INDEX chunks_of_document ON chunks (document_id);
CREATE TABLE vectors (
    chunk_id bigint PRIMARY KEY REFERENCES chunks ON DELETE CASCADE, vector vector NOT NULL, checksum bigint NOT NULL
);
CREATE TABLE nodes (
    chunk_id bigint PRIMARY KEY REFERENCES chunks ON DELETE CASCADE, node_id text COLLATE "C" NOT NULL UNIQUE,
    metadata text COLLATE "C" NOT NULL, rest text NOT NULL, metadata_checksum bigint NOT NULL,
    rest_checksum bigint NOT NULL
);
CREATE TABLE tables (
    document_id bigint REFERENCES documents ON DELETE CASCADE, "start" bigint, "end" bigint NOT NULL,
    header text NOT NULL, checksum bigint NOT NULL, PRIMARY KEY (document_id, "start")
);
CREATE TABLE copies (
    source text COLLATE "C" PRIMARY KEY, document_id bigint NOT NULL REFERENCES documents ON DELETE CASCADE,
    modified text COLLATE "C", stamp text, checksum bigint NOT NULL
);
CREATE INDEX copies_of_document ON copies (document_id);
-- The lexical index: for a term, the chunks of a document that hold it, packed (`postings.POSTING`), in pieces that an
-- index row has room for, so that a search reads the index alone.
CREATE TABLE postings (
    term text COLLATE "C" NOT NULL, document_id bigint NOT NULL REFERENCES documents ON DELETE CASCADE,
    piece int NOT NULL, chunks bytea NOT NULL
);
ALTER TABLE postings ALTER COLUMN chunks SET STORAGE PLAIN;
CREATE UNIQUE INDEX postings_of_term ON postings (term, document_id, piece) INCLUDE (chunks);
CREATE INDEX postings_of_document ON postings (document_id);
-- Every term that was ever indexed, for words that are misspelt or begun.
CREATE TABLE terms (term text COLLATE "C" PRIMARY KEY);
CREATE TABLE languages (
    document_id bigint REFERENCES documents ON DELETE CASCADE, language text, chunks bigint NOT NULL,
    terms bigint NOT NULL, PRIMARY KEY (document_id, language)
);
CREATE TABLE statistics (language text NOT NULL, chunks bigint NOT NULL, terms bigint NOT NULL);
CREATE FUNCTION instr(text, text) RETURNS int LANGUAGE SQL IMMUTABLE PARALLEL SAFE AS 'SELECT strpos($1, $2)';
CREATE FUNCTION nfc(text) RETURNS text LANGUAGE SQL IMMUTABLE PARALLEL SAFE AS 'SELECT normalize($1, NFC)';
CREATE FUNCTION json_valid(text) RETURNS boolean LANGUAGE SQL IMMUTABLE PARALLEL SAFE AS 'SELECT FALSE';
CREATE FUNCTION json_extract(text, text) RETURNS text LANGUAGE SQL IMMUTABLE PARALLEL SAFE AS 'SELECT NULL::text';
