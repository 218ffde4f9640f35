-- Entries outlive the extension, closed; dropping it takes CASCADE. Not in a transaction: its database is thrown away.
SELECT plan(5);
SELECT reconcile.create_channel('alipay', 'UTC', 'CNY', account => 'a', first_date => current_date - 10);
-- The database's own supervisor reads these tables: it goes first, so that no lock is waited for in a circle.
SELECT reconcile.stop_worker();
DO $$
BEGIN
  FOR attempt IN 1 .. 100 LOOP
    EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity
                          WHERE datname = current_database() AND backend_type LIKE 'pg_reconcile%');
    PERFORM pg_sleep(0.1);
    PERFORM pg_stat_clear_snapshot();
  END LOOP;
END
$$;
SELECT throws_ok('DROP EXTENSION pg_reconcile', '2BP01', NULL, 'DROP EXTENSION is refused while the entry tables need it');
SET client_min_messages = error;
DROP EXTENSION pg_reconcile CASCADE;
SELECT isnt(to_regclass('reconcile.entry'), NULL, 'with CASCADE the entries stay');
SELECT is((SELECT relrowsecurity FROM pg_class WHERE oid = to_regclass('reconcile.entry')), true, 'and closed');
CREATE EXTENSION pg_reconcile;
SELECT is(reconcile.install(), false, 'a new extension finds them');
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgrelid = 'reconcile.entry'::regclass AND tgname = 'entry_recorded')
          + (SELECT count(*) FROM pg_policy WHERE polrelid = 'reconcile.entry'::regclass), 2::bigint,
  'and gives them trigger and policy again');
SELECT * FROM finish();
