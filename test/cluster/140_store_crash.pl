# Given entries that were stored, and others that are being stored,
# when the server dies,
# then what was committed is there, nothing else is, and every index holds exactly the rows of its table.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ReconcileNode;
use Test::More;

my $node = reconcile_node('store');
$node->append_conf('postgresql.conf', "full_page_writes = on\ncheckpoint_timeout = 30s");
$node->start;
create_extension($node, 'postgres');
$node->safe_psql('postgres', q{
    SELECT reconcile.create_channel('pay', 'Asia/Shanghai', 'CNY', account => 'a', first_date => current_date - 30);
    SELECT reconcile.create_file_source('bills', 'pay', 'generic.csv', NULL, account => 'a', options => '{"expected": false}');
    SELECT reconcile.create_file_source('others', 'pay', 'generic.csv', NULL, account => 'a', options => '{"expected": false}')});
my $has_amcheck = $node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'});
$node->safe_psql('postgres', 'CREATE EXTENSION amcheck') if $has_amcheck;

# Half of the keys in order, half of them anywhere, some of one order, one reference for many.
sub bill {
    my ($name, $rows, $from) = @_;
    my $path = $node->basedir . "/$name.csv";
    open my $file, '>', $path or die "$path: $!";
    print $file "order_key,kind,amount,channel_ref,occurred_at,status\n";
    my $day = $node->safe_psql('postgres', 'SELECT current_date - 3');
    for my $i ($from .. $from + $rows - 1) {
        my $order = $i % 2 ? sprintf 'order%09d', $i : sprintf 'o%08x', $i * 2654435761 % 4294967296;
        $order = 'again' if $i % 97 == 0;
        my $reference = $i % 3 ? "ref$i" : 'shared';
        print $file "$order,payment,@{[$i % 1000]}.25,$reference,$day 10:00:00+08,success\n";
    }
    close $file;
    return $path;
}

my $state = q{SELECT count(*), sum(amount), count(DISTINCT source_key), (SELECT sum(entries) FROM reconcile.entry_total),
                     (SELECT coalesce(details, 'hold') FROM reconcile.verify() WHERE "check" = 'entry totals') FROM reconcile.entry};
sub sound {
    my ($when) = @_;
    SKIP: {
        skip 'amcheck is not installed', 1 unless $has_amcheck;
        is($node->safe_psql('postgres', q{
            SELECT count(bt_index_parent_check(i.indexrelid, true, true)::text) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
            JOIN pg_am a ON a.oid = c.relam JOIN pg_inherits l ON l.inhrelid = i.indrelid
            WHERE a.amname = 'btree' AND c.relkind = 'i' AND l.inhparent = 'reconcile.entry_trade'::regclass
              AND pg_relation_size(i.indrelid) > 0}), 6, "every index is sound $when");
    }
}

my $first = bill('first', 30000, 1);
$node->safe_psql('postgres', 'CHECKPOINT');
$node->safe_psql('postgres', "SELECT reconcile.ingest_file('bills', '$first')");
my $before = $node->safe_psql('postgres', $state);
like($before, qr/^30000\|.*\|30000\|30000\|hold$/, 'a file is stored');
sound('before');
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', $state), $before, 'and is there after a crash');
sound('after it');

# While another is being stored: it has written to the same pages, and what it wrote has reached the log.
my $second = bill('second', 200000, 100000);
my $pages = q{SELECT pg_relation_size(i.indexrelid) FROM pg_index i JOIN pg_inherits l ON l.inhrelid = i.indrelid
    WHERE i.indisprimary AND l.inhparent = 'reconcile.entry_trade'::regclass ORDER BY 1 DESC LIMIT 1};
my $size = $node->safe_psql('postgres', $pages);
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->{stdin} .= "SELECT reconcile.ingest_file('others', '$second');\n";
$session->{run}->pump_nb;
ok($node->poll_query_until('postgres', "SELECT ($pages) > $size + 1000000"), 'another is being stored');
$node->safe_psql('postgres', 'CHECKPOINT');
$node->stop('immediate');
eval { $session->quit };
$node->start;
is($node->safe_psql('postgres', $state), $before, 'of one that was being stored nothing is there');
sound('after the second crash');
my $added = $node->safe_psql('postgres', "SELECT reconcile.ingest_file('others', '$second')");
like($node->safe_psql('postgres', $state), qr/^230000\|.*\|230000\|230000\|hold$/, 'it is stored when it comes again');
sound('at last');
$node->stop;

done_testing();
