# Given a day of an account, and sessions that work on it at the same moment,
# when two runs meet, entries come in during a run, or a day is signed off while entries come in,
# then runs wait for each other and agree, a run sees one snapshot, and no entry ever lands in a signed-off day.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ReconcileNode;
use Test::More;

my $node = reconcile_node('races');
$node->start;
create_extension($node, 'postgres');
my $day = $node->safe_psql('postgres', 'SELECT current_date - 10');
$node->safe_psql('postgres', <<'SQL');
SELECT reconcile.create_channel('pay', 'UTC', 'CNY', account => 'a');
CREATE ROLE signer LOGIN;
GRANT reconcile_approver TO signer;
-- One row of a source.
CREATE FUNCTION say(p_book text, p_key text, p_amount text, p_day date, p_delete boolean DEFAULT false) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  source integer := CASE p_book WHEN 'internal' THEN 1 ELSE 2 END;
BEGIN
  IF p_delete THEN
    RETURN reconcile.change_entries(source, NULL, ARRAY['D'], ARRAY[p_key], ARRAY[NULL]::text[], ARRAY[NULL]::text[],
      ARRAY[NULL]::text[], ARRAY[NULL]::text[], NULL, ARRAY[NULL]::text[], NULL, NULL, NULL, ARRAY[NULL]::text[],
      ARRAY[NULL]::text[], NULL, NULL, NULL, NULL, NULL, ARRAY[NULL]::text[], NULL, ARRAY[NULL]::timestamptz[], NULL,
      ARRAY[NULL]::date[], NULL, NULL);
  END IF;
  PERFORM reconcile.prepare_entries(ARRAY['pay'], ARRAY['a'], ARRAY[p_book], ARRAY[p_day + interval '10 hours'], ARRAY[p_day], ARRAY['success']);
  RETURN reconcile.insert_entries(source, NULL, ARRAY[p_key], ARRAY['pay'], ARRAY['a'], ARRAY[p_book], ARRAY['payment'], NULL,
    ARRAY[p_key], ARRAY[p_key], ARRAY['t' || p_key], NULL, ARRAY[p_amount], ARRAY['CNY'], NULL, NULL, NULL, NULL, NULL,
    ARRAY['success'], NULL, ARRAY[p_day + interval '10 hours'], NULL, ARRAY[p_day], NULL, NULL);
END
$$;
SELECT say('internal', 'k' || i, '10.10', current_date - 10), say('trade', 'k' || i, '10.1', current_date - 10) FROM generate_series(1, 500) i;
SELECT say('trade', 'extra', '7', current_date - 10), say('internal', 'gone', '3', current_date - 10);
SQL


sub open_session {
    my ($user) = @_;
    return $node->background_psql('postgres', on_error_stop => 0, extra_params => [ $user ? ('-U', $user) : () ]);
}
sub send_sql { my ($s, $sql) = @_; $s->{stdin} .= "$sql\n"; $s->{run}->pump_nb; return }
sub wait_until_said {
    my ($s, $pattern) = @_;
    pump_until($s->{run}, $s->{timeout}, \$s->{stdout}, $pattern) or die "never said $pattern: $s->{stdout}$s->{stderr}";
    return;
}
sub finish_session { my ($s) = @_; my $said = $s->{stdout}; $s->quit; return $said }
sub wait_for_advisory_waiter {
    wait_for_query($node, 'postgres', q{SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}, 't', 30);
}

# Two runs of one day: the second waits for the first, and finds nothing to change.
{
    my ($first, $second) = (open_session(), open_session());
    send_sql($first, "BEGIN; SELECT 'first ' || state || ' ' || digest FROM reconcile.run('pay', '$day');");
    wait_until_said($first, qr/first succeeded \d+\n/);
    send_sql($second, "SELECT 'second ' || state || ' ' || digest || ' ' || discrepancies_open FROM reconcile.run('pay', '$day');");
    wait_for_advisory_waiter();
    unlike($second->{stdout}, qr/second/, 'the second run waits');
    send_sql($first, 'COMMIT;');
    wait_until_said($second, qr/second succeeded \d+ \d+\n/);
    my ($one) = finish_session($first) =~ /first succeeded (\d+)/;
    my ($two, $open) = finish_session($second) =~ /second succeeded (\d+) (\d+)/;
    is($two, $one, 'and comes to the same');
    is($open, 1, 'one discrepancy is open, the other entry is in transit');
    is($node->safe_psql('postgres', 'SELECT count(*) FROM reconcile.discrepancy'), 1, 'it is there once');
    is($node->safe_psql('postgres', 'SELECT count(*) FROM reconcile.discrepancy_event'), 1, 'with one event');
    is($node->safe_psql('postgres', 'SELECT count(*) FROM reconcile.run WHERE current'), 1, 'one run stands');
}

# An entry that is committed while a run is under way belongs to the next run.
{
    my $writer = open_session();
    send_sql($writer, "BEGIN; SELECT 'said ' || say('internal', 'extra', '7', '$day');");
    wait_until_said($writer, qr/said 1/);
    is($node->safe_psql('postgres', "SELECT discrepancies_open FROM reconcile.run('pay', '$day')"), 1, 'a run does not wait for entries, nor see them');
    send_sql($writer, "COMMIT; SELECT 'committed';");
    wait_until_said($writer, qr/committed/);
    finish_session($writer);
    is($node->safe_psql('postgres', "SELECT reconcile.next_run_day('pay', 'a', 'internal-trade', now())"), $day, 'the day is due again');
    $node->safe_psql('postgres', 'CALL reconcile.run_due((current_date - 9)::timestamptz + interval \'1 hour\')');
    is($node->safe_psql('postgres', "SELECT discrepancies_open FROM reconcile.run WHERE current"), 0, 'and then sees the entry');
}

# A sign-off waits for entries that are on their way in; what comes during the sign-off enters the next day.
{
    $node->safe_psql('postgres', "SELECT reconcile.assign(discrepancy_id, 'signer') FROM reconcile.discrepancy WHERE owner IS NULL");
    my ($writer, $signer) = (open_session(), open_session('signer'));
    send_sql($writer, "BEGIN; SELECT 'said ' || say('trade', 'on its way', '1', '$day');");
    wait_until_said($writer, qr/said 1/);
    send_sql($signer, "SELECT 'signed ' || reconcile.sign_off('pay', 'a', '$day'); SELECT 'answered';");
    wait_for_advisory_waiter();
    send_sql($writer, 'ROLLBACK;');
    wait_until_said($signer, qr/answered/);
    like(finish_session($signer), qr/signed \d+/, 'a sign-off waits for the sink, and signs when nothing came of it');
    finish_session($writer);
    $node->safe_psql('postgres', "SELECT reconcile.reopen_day('pay', 'a', '$day', 'again')");

    ($writer, $signer) = (open_session(), open_session('signer'));
    my $deleter = open_session();
    send_sql($signer, "BEGIN; SELECT 'signed ' || reconcile.sign_off('pay', 'a', '$day');");
    wait_until_said($signer, qr/signed \d+/);
    send_sql($writer, "SELECT 'late ' || say('trade', 'late', '2', '$day');");
    send_sql($deleter, "SELECT 'deleted ' || say('internal', 'k1', NULL, '$day', true);");
    wait_for_query($node, 'postgres', q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}, '2', 30);
    send_sql($signer, 'COMMIT;');
    wait_until_said($writer, qr/late 1/);
    wait_until_said($deleter, qr/deleted 1/);
    finish_session($_) for $writer, $deleter, $signer;
    is($node->safe_psql('postgres', "SELECT recon_date - business_date FROM reconcile.entry WHERE source_key = 'late'"), 1, 'an entry that waited for a sign-off enters the next day');
    is($node->safe_psql('postgres', "SELECT string_agg(source_key || ' ' || amount || ' ' || recon_date - business_date, ',' ORDER BY source_key) FROM reconcile.entry WHERE source_key LIKE 'k1%' AND book = 'internal' AND order_key = 'k1'"),
        'k1 10.10 0,k1#1 -10.10 1', 'and so does a deletion: what is signed stays');
    is($node->safe_psql('postgres', "SELECT count(*) FROM reconcile.entry_change g, reconcile.run r, reconcile.account a WHERE r.current AND r.business_date <= a.signed_through AND g.recon_date = r.business_date AND NOT pg_visible_in_snapshot(g.xid, r.snapshot)"),
        0, 'no signed-off day changed after its run');
}

# Many writers and signers at once: every entry is in a day that was open when it came.
{
    my @sessions;
    for my $writer (1 .. 3) {
        my $session = open_session();
        for my $n (1 .. 30) {
            send_sql($session, "SELECT say('" . ($writer == 2 ? 'trade' : 'internal') . "', 'w$writer-$n', '1', '$day'::date + $n % 3);");
        }
        send_sql($session, "SELECT 'written';");
        push @sessions, $session;
    }
    for my $n (1 .. 3) {
        $node->psql('postgres', "SELECT reconcile.run('pay', '$day'::date + $n)");
        $node->psql('postgres', "SELECT reconcile.assign(discrepancy_id, 'signer') FROM reconcile.discrepancy WHERE owner IS NULL");
        $node->psql('postgres', "SELECT reconcile.sign_off('pay', 'a', '$day'::date + $n)", extra_params => ['-U', 'signer']);
    }
    wait_until_said($_, qr/written/) for @sessions;
    finish_session($_) for @sessions;
    is($node->safe_psql('postgres', "SELECT count(*) FROM reconcile.entry WHERE source_key ~ '^w'"), 90, 'nothing is lost');
    is($node->safe_psql('postgres', "SELECT count(*) FROM reconcile.entry_change g, reconcile.run r, reconcile.account a WHERE r.current AND r.business_date <= a.signed_through AND g.recon_date = r.business_date AND NOT pg_visible_in_snapshot(g.xid, r.snapshot)"),
        0, 'no signed-off day changed after its run');
    $node->safe_psql('postgres', "CALL reconcile.run_due(('$day'::date + 5)::timestamptz)");
    is($node->safe_psql('postgres', q{SELECT count(*) FROM reconcile.run WHERE current AND proof_difference <> 0 OR state = 'failed'}), 0, 'every day closes');
    is($node->safe_psql('postgres', q{SELECT (SELECT sum(left_in_count + right_in_count) FROM reconcile.run_total JOIN reconcile.run USING (run_id) WHERE current) = (SELECT count(*) FROM reconcile.entry)}), 't', 'with every entry');
}

$node->stop;
done_testing();
