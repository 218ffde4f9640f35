# Given a shop under load and a finance database that reads it,
# when the worker is killed, the finance server crashes and the shop crashes, again and again at random moments,
# then no entry is lost and none is doubled: at the end the entries are the shop's table, row by row.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ReconcileNode;
use ShopAndFinance;
use Test::More;
use Time::HiRes qw(time usleep);

my $rounds = 14;
my $seed = $ENV{PG_RECONCILE_SEED} || time ^ $$;
srand($seed);
note("seed $seed");

my ($shop, $finance) = shop_and_finance(finance_conf => "restart_after_crash = on\nfsync = off\n");
$shop->safe_psql('shop', <<'SQL');
INSERT INTO payments SELECT i, '1', 'o' || i, i, 1 FROM generate_series(1, 2000) i;
CREATE SEQUENCE payment_id START 2001;
-- What a shop does in a moment: some payments, some changes of state, a deletion, a corrected key, a large import.
CREATE FUNCTION trade(many integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO payments SELECT nextval('payment_id'), '1', 'o' || random(), (random() * 10000)::bigint, 1
      FROM generate_series(1, many);
    UPDATE payments SET state = 2 + (random() < 0.1)::int
     WHERE id IN (SELECT id FROM payments WHERE state = 1 ORDER BY random() LIMIT many);
    DELETE FROM payments WHERE id IN (SELECT id FROM payments ORDER BY random() LIMIT 1);
    UPDATE payments SET id = nextval('payment_id') WHERE id IN (SELECT id FROM payments ORDER BY random() LIMIT 1);
END $$;
SQL
create_source($finance, $shop);

sub start_load {
    my ($stdin, $out, $error) = ('', '', '');
    # Many small transactions, one after another, until the shop is stopped or the test ends it.
    my $load = IPC::Run::start(
        ['psql', '-X', '-q', '-d', $shop->connstr('shop'), '-c', q{
            DO $$ BEGIN FOR i IN 1 .. 100000 LOOP PERFORM trade(1 + (random() * 20)::int); COMMIT;
                        PERFORM pg_sleep(0.01); END LOOP; END $$}],
        \$stdin, \$out, \$error);
    return $load;
}

# The process that reads the source now; waits until there is one: after failures in a row up to a minute, as the
# supervisor does.
sub worker_pid {
    my $deadline = time + 90;
    while (time < $deadline) {
        my ($status, $pid) = $finance->psql('finance', 'SELECT pid FROM reconcile.source_status WHERE pid IS NOT NULL');
        return $pid if defined $status && $status == 0 && defined $pid && $pid =~ /^\d+$/;
        usleep(50_000);
    }
    die "no worker within 90 s\n";
}

sub wait_until_up {
    my ($node) = @_;
    my $deadline = time + 30;
    while (time < $deadline) {
        my ($status, $answer) = $node->psql('postgres', 'SELECT 1');
        return if defined $status && $status == 0 && $answer eq '1';
        usleep(50_000);
    }
    die $node->name . " is not up within 30 s\n";
}

sub kill_postmaster {
    my ($node) = @_;
    my $pid = $node->{_pid};
    $node->kill9;
    my $deadline = time + 30;
    # Until it is gone, and its children with it: a start before that would be refused.
    usleep(20_000) while kill(0, $pid) && time < $deadline;
    until ($node->start(fail_ok => 1)) {
        die $node->name . " does not start again\n" if time > $deadline;
        $node->{_pid} = undef;
        usleep(100_000);
    }
}

my %ruin = (
    worker_killed => sub { kill 'KILL', worker_pid(); usleep(200_000); wait_until_up($finance) },
    worker_terminated => sub { $finance->psql('finance', 'SELECT pg_terminate_backend(' . worker_pid() . ')') },
    finance_killed => sub { kill_postmaster($finance) },
    finance_stopped => sub { $finance->stop('fast'); $finance->start },
    shop_killed => sub { kill_postmaster($shop) },
    sender_terminated => sub {
        $shop->psql('shop', q{SELECT pg_terminate_backend(pid) FROM pg_stat_replication}) },
);
my @kinds = sort keys %ruin;

my $load = start_load();
for my $round (1 .. $rounds) {
    my $kind = $round <= @kinds ? $kinds[$round - 1] : $kinds[ int(rand(@kinds)) ];
    # The first round comes at once: into the initial copy.
    usleep(int(rand(1_200_000))) if $round > 1;
    $shop->psql('shop', 'SELECT trade(2000)') if rand() < 0.3;
    note("round $round: $kind");
    $ruin{$kind}->();
    if (!$load->pumpable) { eval { $load->finish }; $load = start_load(); }
}
# The load may be between two statements or in one: either way the shop says what counts.
$load->kill_kill;
$shop->psql('shop', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%trade%' AND pid <> pg_backend_pid()});
wait_for_query($shop, 'shop', q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%trade(%' AND pid <> pg_backend_pid()}, '0', 30);

cmp_ok((split /\|/, shop_figures($shop))[0], '>', 2000, 'the shop has traded');
ok(wait_for_equality($shop, $finance, 90), "after $rounds ruins the entries are the shop's table (seed $seed)");
is($finance->safe_psql('finance', 'SELECT count(*) - count(DISTINCT source_key) FROM reconcile.entry'), '0',
    'no entry is doubled');
is($finance->safe_psql('finance', 'SELECT count(*) FROM reconcile.source_error'), '0', 'nothing is in quarantine');
is($finance->safe_psql('finance', q{
    SELECT count(*) FROM (
        SELECT count(*) FILTER (WHERE effective) AS n, coalesce(sum(amount) FILTER (WHERE effective), 0) AS s
        FROM reconcile.entry) e,
      (SELECT coalesce(sum(entries), 0) AS n, coalesce(sum(amount), 0) AS s FROM reconcile.entry_total) t
    WHERE (e.n, e.s) = (t.n, t.s)}), '1', 'and the totals agree with the entries');

$finance->stop;
$shop->stop;
done_testing();
