-- Random histories: whatever happens to the books, every day closes to the cent, nothing is counted twice or lost, a
-- re-run changes nothing, what is signed off stays, and the same data gives the same result.
--
-- Environment: PG_RECONCILE_HISTORIES (how many; 10), PG_RECONCILE_SEED (the first one's number; 1, and some that
-- have found something). Histories from 1001 on have match rules and people who decide what they suggest.
-- A failure prints its seed and what happened; the same seed plays the same history again.
\set ON_ERROR_STOP 0
SET client_min_messages = warning;
\set histories 10
\getenv histories PG_RECONCILE_HISTORIES
\set seed 1
\set found {11,12,14,19,1001,1002,1003,1004,1005,1006}
\getenv seed PG_RECONCILE_SEED
SELECT CASE WHEN :seed = 1 AND :histories = 10 THEN :'found' ELSE '{}' END AS found \gset
SELECT reconcile.install() \gset
\ir property/world.sql
\ir property/moves.sql
\ir property/checks.sql
\ir property/rules.sql
\ir property/story.sql
\set ECHO none
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'play_signer') THEN CREATE ROLE play_signer LOGIN; END IF;
END
$$;
GRANT reconcile_approver TO play_signer;

CREATE TEMP TABLE chosen AS
SELECT s FROM generate_series(:seed, :seed + :histories - 1) s UNION SELECT unnest(:'found'::integer[]);
SELECT plan(count(*)::integer) FROM chosen;
SELECT 'SELECT play.forget()', format('CALL play.play(%s, 6, %L)', s, s > 1000), 'RESET SESSION AUTHORIZATION',
       format('SELECT ok(coalesce(bool_and(finished), false) AND NOT EXISTS (SELECT FROM play.violation), %L) FROM play.history;', 'history ' || s),
       format('SELECT diag(play.report(%s)) WHERE EXISTS (SELECT FROM play.violation) OR NOT EXISTS (SELECT FROM play.history WHERE finished);', s)
FROM chosen ORDER BY s \gexec
SELECT play.forget() \gset
SELECT diag(string_agg(concat_ws(' ', m.method, m.reason, m.runs), E'\n' ORDER BY m.runs DESC))
FROM (SELECT method, reason, sum(runs) AS runs FROM play.method GROUP BY 1, 2) m;
SELECT * FROM finish();
DROP OWNED BY play_signer;
DROP ROLE play_signer;
