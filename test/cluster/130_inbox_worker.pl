# Given file sources whose folders are watched,
# when files arrive, one after another and while the worker is killed,
# then every file is taken in exactly once, and nobody has to be asked.

use strict;
use warnings;
use File::Temp;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ReconcileNode;
use Test::More;

my $inbox = File::Temp->newdir;
my $finance = reconcile_node('finance', conf => "restart_after_crash = on\npg_reconcile.allowed_directories = '$inbox'\n");
$finance->start;
$finance->safe_psql('postgres', 'CREATE DATABASE finance');
create_extension($finance, 'finance');
$finance->safe_psql('finance', <<"SQL");
SELECT reconcile.create_channel('bank', 'Asia/Shanghai', 'CNY', account => '6222', first_date => current_date - 40);
SELECT reconcile.create_file_source('bank statements', 'bank', 'generic.csv', 'file://$inbox/*.csv',
                                    options => '{"settle": "1 second"}');
SELECT reconcile.create_file_source('by hand', 'bank', 'generic.csv', NULL, options => '{"expected": false}');
SQL

my $day = $finance->safe_psql('postgres', 'SELECT current_date - 2');

sub deliver {
    my ($number, $rows) = @_;
    my $file = "$inbox/.$number.tmp";
    open(my $out, '>', $file) or die "$file: $!";
    print $out "#account=6222\n#business_date=$day\norder_key,kind,amount\n";
    print $out "f$number-$_,payment,1.00\n" for 1 .. $rows;
    close($out) or die "$file: $!";
    rename($file, "$inbox/bank_$number.csv") or die "$file: $!";
    return;
}

my $files = q{SELECT count(*) FROM reconcile.statement};
my $state = q{SELECT string_agg(source || ' ' || state, ', ' ORDER BY source) FROM reconcile.source_status};
ok(wait_for_query($finance, 'finance', $state, 'bank statements running, by hand stopped', 30),
    'a folder is watched, a source without one needs no worker');
deliver(1, 10);
ok(wait_for_query($finance, 'finance', $files, '1', 30), 'a file is taken in');
is($finance->safe_psql('finance', 'SELECT count(*), sum(amount) FROM reconcile.entry'), '10|10.00', 'with its rows');

# The worker dies while files come.
deliver(2, 2000);
for (1 .. 2) {
    my $pid = $finance->safe_psql('finance', q{SELECT pid FROM reconcile.source_status WHERE pid IS NOT NULL});
    my $log = -s $finance->logfile;
    kill 'KILL', $pid if $pid ne '';
    $finance->wait_for_log(qr/database system is ready to accept connections/, $log) if $pid ne '';
    wait_for_query($finance, 'finance', q{SELECT count(*) FROM reconcile.source_status WHERE pid IS NOT NULL}, '1', 30);
}
deliver(3, 5);
ok(wait_for_query($finance, 'finance', $files, '3', 60), 'after two crashes every file is in, once');
is($finance->safe_psql('finance', q{SELECT count(DISTINCT sha256) FROM reconcile.statement}), '3', 'each its own');
is($finance->safe_psql('finance', q{SELECT state FROM reconcile.source_status WHERE source = 'bank statements'}), 'running',
    'the folder is watched still');

$finance->stop;
done_testing();
