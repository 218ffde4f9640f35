# Given a database in use: channels, sources, entries of several months, changed and removed entries,
# when it is dumped (custom format and plain) and restored into an empty database, stopping at the first error,
# then every table of schema reconcile and of pg_partman's configuration has the same rows, every sequence goes on,
# the catalogs agree, and the restored database works on: new entries, new months, the same channel names refused.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ReconcileNode;
use Test::More;

my $node = reconcile_node('dump');
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE finance');
create_extension($node, 'finance');

# What a row of each configuration table looks like once somebody uses it. Tables that reconcile.create_channel()
# fills are not in the list.
$node->safe_psql('finance', <<'SQL');
SELECT reconcile.create_channel('alipay', 'Asia/Shanghai', 'CNY', '-01:00', account => '2088000000000001',
                                first_date => current_date - 200);
SELECT reconcile.create_channel('stripe', 'UTC', 'EUR', account => 'acct_1', first_date => current_date - 200);
SELECT reconcile.create_account('alipay', '2088000000000002');
INSERT INTO reconcile.calendar VALUES ('cn', '{6,7}');
INSERT INTO reconcile.calendar_day VALUES ('cn', current_date, false, 'a holiday, "quoted" and \ slashed');
INSERT INTO reconcile.fee_schedule (channel, kind, version, valid_from, schedule)
VALUES ('alipay', 'payment', 1, '2026-01-01', '{"rate": "0.006"}');
INSERT INTO reconcile.handler (handler, channel, function, run_as, mode) VALUES ('h', 'alipay', 'f()', 'postgres', 'manual');
INSERT INTO reconcile.access (member, channel, account) VALUES ('reconcile_reader', 'alipay', '2088000000000001');
INSERT INTO reconcile.source (name, kind, book, mapping, options) VALUES ('by hand', 'manual', 'internal', '{"a": 1}', '{}');
INSERT INTO reconcile.source_position (source_id, position) SELECT source_id, '0/16B3748' FROM reconcile.source;
SELECT reconcile.ensure_month((current_date - 100 * i)::date) FROM generate_series(0, 1) i;
INSERT INTO reconcile.entry (channel, account, book, kind, order_key, match_key, amount, currency, settle_amount,
  settlement_currency, fee, net, status, effective, occurred_at, business_date, recon_date, attributes, source_id, source_key)
SELECT 'alipay', '2088000000000001', b.book, 'payment', 'o' || i, 'o' || i, i + 0.10, 'CNY', i + 0.10, 'CNY', 0.01,
       i + 0.09, 'success', true, now() - i * interval '1 hour', current_date - (i % 2) * 100, current_date - (i % 2) * 100,
       jsonb_build_object('n', i, 'text', E'支付\t"x"'), s.source_id, 'row/' || i
FROM generate_series(1, 500) i, (VALUES ('internal'), ('trade')) b (book), reconcile.source s;
UPDATE reconcile.entry SET amount = amount + 1 WHERE order_key = 'o7' AND tier = 0;
DELETE FROM reconcile.entry WHERE order_key = 'o8' AND book = 'trade' AND tier = 0;
INSERT INTO reconcile.entry_history (source_id, source_key, channel, account, reason, entry)
SELECT source_id, 'row/8', 'alipay', '2088000000000001', 'deleted', '{"order_key": "o8"}' FROM reconcile.source;
SQL

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
note("tables without a row: " . join(', ', grep { $before->{$_} =~ /^0 / && !/_p\d{4}/ } sort keys %{$before}));
foreach my $table (qw(channel account leg match_rule calendar calendar_day fee_schedule handler access source
    source_position entry entry_total entry_change entry_history)) {
    ok((grep { $_ eq "reconcile.$table" } @filled), "given rows in $table");
}
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
    my ($status, undef, $error) = $node->psql($database, q{SELECT reconcile.create_channel('alipay', 'UTC', 'CNY')});
    isnt($status, 0, "$database: a channel of that name is refused");
    like($error, qr/channel "alipay" exists already/, "$database: with a reason");
    $node->safe_psql($database, q{SELECT reconcile.create_channel('wechat', 'Asia/Shanghai', 'CNY', account => 'm1')});
    $node->safe_psql($database, 'SELECT reconcile.ensure_month((current_date - 170)::date)');
    is($node->safe_psql($database, q{
        SELECT count(*) FROM pg_inherits WHERE inhrelid = to_regclass('reconcile.entry_trade_p' || to_char(current_date - 170, 'YYYY_MM'))}),
        '1', "$database: pg_partman makes a further month");
    is($node->safe_psql($database, q{
        INSERT INTO reconcile.entry (channel, account, book, kind, order_key, amount, currency, status, effective,
          business_date, recon_date, source_id, source_key)
        VALUES ('wechat', 'm1', 'trade', 'payment', 'n1', 1, 'CNY', 'success', true, current_date - 170, current_date - 170, 1, 'new');
        SELECT entries FROM reconcile.entry_total WHERE channel = 'wechat'}),
        '1', "$database: a new entry is stored and counted");
    is($node->safe_psql($database, q{INSERT INTO reconcile.source (name, kind, book) VALUES ('later', 'manual', 'trade') RETURNING source_id}),
        '2', "$database: identities go on");
}
$node->stop;

done_testing();
