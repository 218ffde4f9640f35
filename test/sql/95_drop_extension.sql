-- Entries outlive the extension, closed; dropping it takes CASCADE. Not in a transaction: its database is thrown away.
SELECT plan(5);
SELECT reconcile.create_channel('alipay', 'UTC', 'CNY', account => 'a', first_date => current_date - 10);
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
