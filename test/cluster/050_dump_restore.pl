# Given a database in use, filled by its own workers and functions: a stream and files taken in, bad rows set aside, days
# run, signed off and changed after that, discrepancies owned and settled,
# when it is dumped (custom format and plain) and restored into an empty database, stopping at the first error,
# then every table of schema reconcile and of pg_partman's configuration has the same rows, every sequence goes on,
# the catalogs agree, and the restored database works on: the next day is taken in, run, signed off and comes to the same as
# in the original; new months, the same channel names refused.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ReconcileNode;
use Test::More;

# A shop streams its payments, a folder receives the bank's files; both are of the same server, so that the dump is the
# only copy of anything. Workers serve the database `finance` alone: in a restored copy they would write at once.
my $inbox = PostgreSQL::Test::Utils::tempdir;
my $node = reconcile_node('dump', conf => "pg_reconcile.databases = 'finance'\npg_reconcile.allowed_directories = '$inbox'\npg_reconcile.store_directory = '$inbox/store'\n");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE finance; CREATE DATABASE shop; CREATE ROLE preparer LOGIN; CREATE ROLE signer LOGIN');
create_extension($node, 'finance');
$node->safe_psql('postgres', 'GRANT reconcile_operator, reconcile_reader TO preparer; GRANT reconcile_approver, reconcile_reader TO signer');
my ($d1, $d2, $d3) = split /\|/, $node->safe_psql('postgres', q{SELECT d - 4, d - 3, d - 2 FROM (SELECT (now() AT TIME ZONE 'UTC')::date AS d) x});

sub as_role { my ($role, $database, $sql) = @_; return $node->safe_psql($database, $sql, extra_params => ['-U', $role]); }

# The file appears whole, under a name that no other delivery has.
sub deliver {
    my ($name, $day, @rows) = @_;
    open(my $out, '>', "$inbox/.$name") or die "$inbox/.$name: $!";
    print $out "#account=DE-4711\n#business_date=$day\norder_key,kind,amount,channel_ref,fee,settlement_currency\n", map { "$_\n" } @rows;
    close($out) or die "$inbox/.$name: $!";
    rename("$inbox/.$name", "$inbox/$name") or die "$inbox/$name: $!";
    return "$inbox/$name";
}

$node->safe_psql('shop', <<"SQL");
CREATE TABLE payments (id bigint PRIMARY KEY, order_no text, amount numeric, fee numeric, state integer, paid_at timestamptz);
CREATE PUBLICATION payments FOR TABLE payments;
INSERT INTO payments VALUES
  (1, 'o1', 100, 0.60, 2, '$d1 10:00Z'), (2, 'o2', 50, NULL, 2, '$d1 11:00Z'), (3, 'o3', 20, NULL, 2, '$d1 23:59:58Z'),
  (4, 'o4', 10, 0.06, 2, '$d1 12:00Z'), (5, 'o5', 30, NULL, 2, '$d2 10:00Z'), (6, 'o6', 7, NULL, 3, '$d2 11:00Z'),
  (7, 'o7', 70, 0.42, 2, '$d3 10:00Z'), (8, 'o8', 8, NULL, 2, '$d3 11:00Z'),
  (10, 'o10', 10, NULL, 1, '$d1 13:00Z');
SQL
my ($host, $port) = ($node->host, $node->port);
$node->safe_psql('finance', <<"SQL");
INSERT INTO reconcile.calendar VALUES ('every day', '{}'), ('cn', '{6,7}');
INSERT INTO reconcile.calendar_day VALUES ('cn', current_date, false, 'a holiday, "quoted" and \\ slashed');
SELECT reconcile.create_channel('citybank', 'UTC', 'CNY', account => 'DE-4711', first_date => '$d1');
SELECT reconcile.create_channel('stripe', 'Asia/Shanghai', 'EUR', '-01:00', account => 'acct_1', first_date => current_date - 200);
SELECT reconcile.create_account('citybank', 'DE-0815');
INSERT INTO reconcile.fee_schedule (channel, kind, version, valid_from, schedule) VALUES ('citybank', 'payment', 1, '2026-01-01', '{"rate": "0.006"}');
INSERT INTO reconcile.handler (handler, channel, function, run_as, mode) VALUES ('h', 'citybank', 'f()', 'postgres', 'manual');
INSERT INTO reconcile.access (member, channel, account) VALUES ('preparer', 'citybank', NULL), ('signer', 'citybank', 'DE-4711');
SELECT reconcile.save_format('mine', jsonb_set(document, '{format}', '"mine"')) FROM reconcile.file_format WHERE format = 'generic.csv';
SELECT reconcile.create_file_source('bank files', 'citybank', 'mine', 'file://$inbox/*.csv', account => 'DE-4711',
                                    options => '{"settle": "0 seconds", "calendar": "every day"}');
SELECT reconcile.waive_statement('citybank', 'DE-0815', 'trade', '$d1', 'opened later');
CREATE FUNCTION public.counted(channel text, account text, business_date date) RETURNS TABLE (currency text, entries bigint, amount numeric) LANGUAGE sql AS
  \$\$ SELECT e.currency, count(*), sum(e.amount) FROM reconcile.entry e WHERE e.book = 'internal' AND e.channel = \$1 AND e.account = \$2
      AND e.recon_date = \$3 AND e.effective GROUP BY 1 \$\$;
SELECT reconcile.set_control_query('citybank', 'internal-trade', 'public.counted(text, text, date)', 'postgres', '$d2');
CREATE SERVER shop FOREIGN DATA WRAPPER reconcile_source OPTIONS (host '$host', port '$port', dbname 'shop');
CREATE USER MAPPING FOR reconcile_worker SERVER shop OPTIONS (user 'postgres');
SELECT reconcile.create_replication_source('shop payments', 'shop', 'payments', 'payments', options => '{"account": "DE-4711", "channel": "citybank"}', mapping => '{
  "order_key": {"column": "order_no"}, "match_key": {"column": "order_no"}, "channel_ref": {"concat": ["order_no"]}, "kind": {"const": "payment"},
  "amount": {"column": "amount"}, "fee": {"column": "fee"}, "status": {"column": "state", "map": {"1": "pending", "2": "success", "3": "failed"}},
  "occurred_at": {"column": "paid_at"}}');
SQL
wait_for_query($node, 'finance', q{SELECT count(*) FROM reconcile.entry WHERE book = 'internal'}, '9', 60);
# Good rows, one that is none, a file that says nothing; then the first day, signed off, and corrected after that.
deliver('bank-1.csv', $d1, 'o1,payment,100,o1,0.60,', 'o2,payment,55,o2,,', 'o4,payment,10,o4,0.08,', 'o11,payment,eleven,o11,,');
deliver('bank-2.csv', $d2, 'o3,payment,20,o3,,', 'o5,payment,30,o5,,', 'o6,payment,7,o6,,', 'o12,payment,12,o12,,');
open(my $broken, '>', "$inbox/broken.csv") or die $!; print $broken "nothing of the kind\n"; close $broken;
wait_for_query($node, 'finance', q{SELECT count(*) FROM reconcile.inbox_file WHERE state = 'done'}, '3', 60);
as_role('signer', 'finance', q{SELECT reconcile.accept_statement(statement_id, 'o11 is a test') FROM reconcile.statement WHERE state = 'control_mismatch'});
as_role('preparer', 'finance', 'CALL reconcile.run_due()');
as_role('preparer', 'finance', q{SELECT reconcile.assign(discrepancy_id, 'preparer') FROM reconcile.open_discrepancy});
as_role('signer', 'finance', "SELECT reconcile.sign_off('citybank', 'DE-4711', '$d1')");
$node->safe_psql('finance', <<"SQL");
INSERT INTO reconcile.adjustment (discrepancy_id, amount, currency, recon_date, state, reason_code, proposed_by, decided_by, decided_at)
SELECT discrepancy_id, difference, currency, '$d2', 'approved', 'bank''s error', 'preparer', 'signer', now() FROM reconcile.discrepancy WHERE item_key = 'o2';
SELECT reconcile.set_match_rules('citybank', 'internal-trade', '[{"rule": "channel_ref"}, {"rule": "match_key"}, {"rule": "carried"}, {"rule": "net_order"},
  {"rule": "pair", "name": "near", "key": ["kind"], "amount": {"within": "5"}}]');
SQL
# A row in a state that nobody has mapped waits in quarantine, and today's run for it.
$node->safe_psql('shop', "INSERT INTO payments VALUES (9, 'o9', 9, NULL, 5, now()); UPDATE payments SET state = 2 WHERE id = 10; UPDATE payments SET fee = 0.30 WHERE id = 5");
wait_for_query($node, 'finance', q{SELECT string_agg(source_key, ',' ORDER BY source_key) FROM reconcile.entry WHERE order_key = 'o10'}, 'public.payments/10,public.payments/10#1', 60);
wait_for_query($node, 'finance', q{SELECT fee FROM reconcile.entry WHERE order_key = 'o5' AND book = 'internal'}, '0.30', 60);
as_role('preparer', 'finance', 'CALL reconcile.run_due()');
as_role('preparer', 'finance', q{SELECT reconcile.reject_match(suggestion_id, 'not the same') FROM reconcile.open_suggestion WHERE residual = 2});
as_role('preparer', 'finance', 'CALL reconcile.run_due()');
as_role('preparer', 'finance', q{SELECT reconcile.assign(discrepancy_id, 'preparer') FROM reconcile.open_discrepancy WHERE owner IS NULL});
$node->safe_psql('finance', q{SELECT reconcile.pause_source('shop payments'); SELECT reconcile.stop_worker();});
wait_for_query($node, 'finance', q{SELECT count(*) FROM pg_stat_activity WHERE datname = 'finance' AND backend_type LIKE 'pg_reconcile%'}, '0', 30);
$node->safe_psql('finance', <<'SQL');
SELECT reconcile.set_retention('citybank', '12 years');
SELECT reconcile.hold_statements('citybank', 'case 1');
SELECT reconcile.create_file_source('fetched files', 'citybank', 'mine', 'ftps://out/{yyyyMMdd}.csv', account => 'DE-0815',
                                    options => '{"server": "shop", "expected": false}');
SELECT n.* FROM reconcile.source s, reconcile.next_fetch_day(s.source_id) n WHERE s.name = 'fetched files';
INSERT INTO reconcile.fetch_file (source_id, business_date, name, state) SELECT source_id, min(business_date), 'a.csv', 'partial' FROM reconcile.fetch_day GROUP BY 1;
SQL
is($node->safe_psql('finance', q{SELECT string_agg(kind || ' ' || item_key || ' ' || state, ', ' ORDER BY item_key) FROM reconcile.discrepancy}),
    'missing_trade o10 open, missing_internal o12 open, amount_mismatch o2 resolved, fee_mismatch o4 open, status_mismatch o6 open', 'given two days that were run');
is($node->safe_psql('finance', q{SELECT string_agg(state || ' ' || business_date, ', ' ORDER BY business_date) FROM reconcile.run WHERE account = 'DE-4711' AND (current OR state = 'waiting')}),
    "succeeded $d1, succeeded $d2, waiting $d3", 'and a third that waits');

my $tables = q{
    SELECT c.oid::regclass::text FROM pg_class c
    WHERE c.relkind IN ('r', 'p') AND (c.relnamespace = 'reconcile'::regnamespace
      OR c.oid IN ('partman.part_config'::regclass, 'partman.part_config_sub'::regclass))
    ORDER BY 1};
my $sequences = q{
    SELECT s.schemaname || '.' || s.sequencename, coalesce(s.last_value::text, 'unused')
    FROM pg_sequences s WHERE s.schemaname = 'reconcile' ORDER BY 1};
# What is around the rows: kind, owner, rights, row security, partition bounds, template; policies; triggers; members.
my %catalog = (
    relations => q{
        SELECT c.oid::regclass, c.relkind, c.relowner::regrole, c.relrowsecurity, pg_get_expr(c.relpartbound, c.oid),
               (SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(c.relacl) a),
               (SELECT i.inhparent::regclass FROM pg_inherits i WHERE i.inhrelid = c.oid), c.reloptions
        FROM pg_class c WHERE c.relnamespace = 'reconcile'::regnamespace ORDER BY c.oid::regclass::text COLLATE "C"},
    policies => q{SELECT tablename, policyname, roles, cmd, qual FROM pg_policies WHERE schemaname = 'reconcile' ORDER BY 1, 2},
    triggers => q{
        SELECT tgrelid::regclass, tgname, pg_get_triggerdef(oid) FROM pg_trigger
        WHERE NOT tgisinternal AND tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'reconcile'::regnamespace)
        ORDER BY tgrelid::regclass::text COLLATE "C", tgname},
    functions => q{
        SELECT p.oid::regprocedure, p.proowner::regrole, (SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(p.proacl) a)
        FROM pg_proc p WHERE p.pronamespace = 'reconcile'::regnamespace ORDER BY p.oid::regprocedure::text COLLATE "C"},
    members => q{
        SELECT pg_describe_object(classid, objid, 0) AS name FROM pg_depend
        WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
          AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_reconcile')
        ORDER BY pg_describe_object(classid, objid, 0) COLLATE "C"});

sub rows_of {
    my ($database) = @_;
    my %rows;
    foreach my $table (split /\n/, $node->safe_psql($database, $tables)) {
        $rows{$table} = $node->safe_psql($database,
            qq{SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE "C")
               FILTER (WHERE to_jsonb(t) -> 'built_in' IS DISTINCT FROM 'true')), '') FROM $table t});
    }
    return \%rows;
}

my $before = rows_of('finance');
my $sequences_before = $node->safe_psql('finance', $sequences);
my %catalog_before = map { $_ => $node->safe_psql('finance', $catalog{$_}) } keys %catalog;
my @filled = grep { $before->{$_} !~ /^0 / } sort keys %{$before};
is(join(', ', grep { $before->{$_} =~ /^0 / && !/_p\d{4}/ } sort keys %{$before}),
    'partman.part_config_sub, reconcile.entry_bank, reconcile.entry_fund, reconcile.entry_notify, reconcile.entry_settlement, reconcile.entry_template',
    'given rows in every table but those of books that nobody feeds');
like($before->{'partman.part_config'}, qr/^6 /, 'given six books under pg_partman');

my $folder = PostgreSQL::Test::Utils::tempdir;
my $connection = $node->connstr('finance');
command_ok(['pg_dump', '-Fc', '-f', "$folder/finance.dump", '-d', $connection], 'pg_dump, custom format');
command_ok(['pg_dump', '-Fp', '-f', "$folder/finance.sql", '-d', $connection], 'pg_dump, plain');

$node->safe_psql('postgres', 'CREATE DATABASE from_custom TEMPLATE template0; CREATE DATABASE from_plain TEMPLATE template0;');
command_ok(['pg_restore', '--exit-on-error', '-d', $node->connstr('from_custom'), "$folder/finance.dump"],
    'pg_restore --exit-on-error');
command_ok(['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('from_plain'), '-f', "$folder/finance.sql"],
    'psql, stopping at the first error');

# The next day: a file, a run, two sign-offs. Returns what it came to.
my $file = deliver('.bank-3.late', $d3, 'o7,payment,70,o7,0.42,', 'o8,payment,8.50,o8,,', 'o10,payment,10,o10,,', 'o13,payment,x,o13,,');
sub next_day {
    my ($database) = @_;
    $node->safe_psql($database, 'SELECT reconcile.adopt_store()');
    is($node->safe_psql($database, "SELECT reconcile.ingest_file('bank files', '$file')"), '5', "$database: a file is taken in");
    is($node->safe_psql($database, "SELECT reconcile.ingest_file('bank files', '$inbox/bank-1.csv')"),
        $node->safe_psql($database, q{SELECT statement_id FROM reconcile.statement WHERE file_name = 'bank-1.csv'}), "$database: a file from before the dump is known");
    as_role('signer', $database, q{SELECT reconcile.accept_statement(5, 'o13 is a test')});
    is(as_role('preparer', $database, "SELECT state, left_entries, right_entries, proof_difference FROM reconcile.run('citybank', '$d3', 'DE-4711')"),
        'succeeded|2|3|0.00', "$database: the next day runs");
    as_role('preparer', $database, q{SELECT reconcile.assign(discrepancy_id, 'preparer') FROM reconcile.open_discrepancy WHERE owner IS NULL});
    is(as_role('signer', $database, "SELECT reconcile.sign_off('citybank', 'DE-4711', '$d2'), reconcile.sign_off('citybank', 'DE-4711', '$d3')"), '2|3', "$database: and is signed off");
    is($node->safe_psql($database, "SELECT reconcile.next_run_day('citybank', 'DE-4711', 'internal-trade', now()) > '$d3'"), 't', "$database: nothing is to be run again");
    $node->safe_psql($database, 'CALL reconcile.maintain()');
    is($node->safe_psql($database, q{SELECT string_agg("check" || ': ' || details, '; ') FROM reconcile.verify() WHERE NOT ok}), '', "$database: verify() finds nothing");
    return $node->safe_psql($database, q{
        SELECT (SELECT string_agg(business_date || ' ' || digest || ' ' || discrepancies_open, ', ' ORDER BY business_date) FROM reconcile.run WHERE current AND account = 'DE-4711'),
               (SELECT string_agg(concat_ws(' ', discrepancy_id, kind, item_key, difference, state, owner), ', ' ORDER BY discrepancy_id) FROM reconcile.discrepancy),
               (SELECT string_agg(concat_ws(' ', event_id, discrepancy_id, event), ', ' ORDER BY event_id) FROM reconcile.discrepancy_event)});
}

my @next_days;
foreach my $database (qw(from_custom from_plain)) {
    my $after = rows_of($database);
    is_deeply([sort keys %{$after}], [sort keys %{$before}], "$database has the same tables");
    foreach my $table (sort keys %{$before}) {
        is($after->{$table}, $before->{$table}, "$database: rows of $table");
    }
    is($node->safe_psql($database, $sequences), $sequences_before, "$database: sequences");
    foreach my $what (sort keys %catalog) {
        is($node->safe_psql($database, $catalog{$what}), $catalog_before{$what}, "$database: $what");
    }

    # It works on.
    is($node->safe_psql($database, 'SELECT reconcile.install()'), 'f', "$database: is installed");
    my ($status, undef, $error) = $node->psql($database, q{SELECT reconcile.create_channel('citybank', 'UTC', 'CNY')});
    isnt($status, 0, "$database: a channel of that name is refused");
    like($error, qr/channel "citybank" exists already/, "$database: with a reason");
    $node->safe_psql($database, q{SELECT reconcile.create_channel('wechat', 'Asia/Shanghai', 'CNY', account => 'm1')});
    $node->safe_psql($database, 'SELECT reconcile.ensure_month((current_date - 170)::date)');
    is($node->safe_psql($database, q{
        SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'reconcile.entry_trade'::regclass
          AND pg_get_expr(c.relpartbound, c.oid) LIKE format('FOR VALUES FROM (''%s''%%', date_trunc('month', current_date - 170)::date)}),
        '1', "$database: pg_partman makes a further month");
    is($node->safe_psql($database, q{
        INSERT INTO reconcile.entry (channel, account, book, kind, order_key, amount, currency, status, effective,
          business_date, recon_date, source_id, source_key)
        VALUES ('wechat', 'm1', 'trade', 'payment', 'n1', 1, 'CNY', 'success', true, current_date - 170, current_date - 170, 1, 'new');
        SELECT entries FROM reconcile.entry_total WHERE channel = 'wechat'}),
        '1', "$database: a new entry is stored and counted");
    is($node->safe_psql($database, q{INSERT INTO reconcile.source (name, kind, book) VALUES ('later', 'manual', 'trade') RETURNING source_id}),
        '4', "$database: identities go on");
    push @next_days, [$database, next_day($database)];
}
push @next_days, ['finance', next_day('finance')];
is($next_days[$_][1], $next_days[2][1], "$next_days[$_][0]: the next day comes to what it comes to in the original") for 0, 1;
$node->stop;

done_testing();
