-- The answer sheet (planted.sql), copied to where the discrepancies are. Reads the rows from psql's own input.
CREATE SCHEMA demo;
CREATE TABLE demo.expected (
  channel       text NOT NULL,
  business_date date NOT NULL,
  opened_on     date NOT NULL,
  order_no      text PRIMARY KEY,
  kind          text NOT NULL,
  difference    numeric NOT NULL,
  story         text NOT NULL
);
COMMENT ON TABLE demo.expected IS 'The discrepancies that the demo planted: these, and no others, must be found';
\copy demo.expected FROM pstdin
