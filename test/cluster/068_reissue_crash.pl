# Given a statement that was taken in,
# when the server dies at any moment while a corrected file of it is taken in,
# then either the old statement is whole or the new one is, and the same file again makes it the new one.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ReconcileNode;
use Test::More;
use Time::HiRes qw(sleep time);

my $rows = 20000;
my $rounds = 6;
my $seed = $ENV{PG_RECONCILE_SEED} // int(time());
srand($seed);
note "seed $seed (again: PG_RECONCILE_SEED=$seed)";

my $node = reconcile_node('reissue');
$node->start;
create_extension($node, 'postgres');
$node->safe_psql('postgres', q{
    SELECT reconcile.create_channel('pay', 'Asia/Shanghai', 'CNY', account => 'a', first_date => current_date - 30);
    SELECT reconcile.create_file_source('bills', 'pay', 'generic.csv', NULL, account => 'a', options => '{"expected": false}')});
my $day = $node->safe_psql('postgres', 'SELECT current_date - 3');

# The n-th issue of the day: most rows stay, in another order, with twins; some change, some go, some come.
sub issue {
    my ($n) = @_;
    my $path = $node->basedir . "/issue$n.csv";
    my @lines;
    my ($count, $sum) = (0, 0);
    for my $i (1 .. $rows) {
        next if $n && ($i + $n) % 501 == 0;
        my $cents = ($i % 1000) * 100 + 25 + ($i % 499 == $n ? 1 : 0);
        for (0 .. ($i % 97 == 0)) {
            push @lines, sprintf "order%06d,payment,%d.%02d,ref%06d,%s 10:00:00+08,success\n", $i, $cents / 100, $cents % 100, $i, $day;
            $count++;
            $sum += $cents;
        }
    }
    @lines = reverse @lines if $n % 2;
    open my $file, '>', $path or die "$path: $!";
    print $file "order_key,kind,amount,channel_ref,occurred_at,status\n", @lines;
    close $file;
    return ($path, sprintf('%d|%d.%02d', $count, $sum / 100, $sum % 100));
}

my $state = q{SELECT count(*), sum(amount) FROM reconcile.entry};
my $records = q{
    SELECT (SELECT count(*) FROM reconcile.statement WHERE state = 'accepted'), (SELECT count(*) FROM reconcile.statement WHERE state = 'loading'),
           (SELECT sum(entries) FROM reconcile.entry_total) - (SELECT count(*) FROM reconcile.entry),
           (SELECT count(*) FROM reconcile.statement_differences('pay', 'a', ARRAY['trade'], current_date - 3) d WHERE d.entries <> 0 OR d.amount <> 0),
           (SELECT coalesce(details, 'hold') FROM reconcile.verify() WHERE "check" = 'entry totals')};

my ($path, $was) = issue(0);
$node->safe_psql('postgres', "SELECT reconcile.ingest_file('bills', '$path')");
is($node->safe_psql('postgres', $state), $was, 'the first issue is stored');
my $took = 2;
my %ended;
for my $n (1 .. $rounds) {
    my ($file, $will_be) = issue($n);
    my $session = $node->background_psql('postgres', on_error_stop => 0);
    $session->{stdin} .= "SELECT reconcile.ingest_file('bills', '$file');\n";
    $session->{run}->pump_nb;
    sleep(rand($took));
    $node->stop('immediate');
    eval { $session->quit };
    $node->start;
    my $is = $node->safe_psql('postgres', $state);
    my $end = $is eq $was ? 'the old one' : $is eq $will_be ? 'the new one' : "neither: $is, was $was, will be $will_be";
    like($end, qr/^the (?:old|new) one$/, "round $n: whole after the crash");
    $ended{$end}++;
    is($node->safe_psql('postgres', $records), '1|0|0|0|hold', "round $n: and so are its records");
    my $started = time();
    $node->safe_psql('postgres', "SELECT reconcile.ingest_file('bills', '$file')");
    $took = time() - $started if $end eq 'the old one';
    is($node->safe_psql('postgres', $state), $will_be, "round $n: the same file again makes it the new one");
    is($node->safe_psql('postgres', $records), '1|0|0|0|hold', "round $n: and its records say so");
    $was = $will_be;
}
note join ', ', map { "$_: $ended{$_}" } sort keys %ended;
$node->stop;

done_testing();
