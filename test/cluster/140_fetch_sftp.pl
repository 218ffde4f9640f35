# Given OpenSSH's SFTP server with a channel's files,
# when days come, the server's key is another one, transfers break off and workers are killed,
# then every day's files are fetched once, and what is not there is said.

use strict;
use warnings;
use Cwd qw(abs_path);
use File::Temp;
use FetchServers;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ReconcileNode;
use Test::More;

plan skip_all => 'OpenSSH\'s server is not installed' if !-x '/usr/sbin/sshd';

my $home = File::Temp->newdir;
my $store = File::Temp->newdir;
my $ssh = FetchServers::sftp_server("$home");
my $finance = reconcile_node('finance', conf => "restart_after_crash = on\npg_reconcile.store_directory = '$store/store'\n");
$finance->start;
$finance->safe_psql('postgres', 'CREATE DATABASE finance');
create_extension($finance, 'finance');
my ($day, $before, $earlier) = map { $finance->safe_psql('postgres', "SELECT to_char((now() AT TIME ZONE 'Asia/Shanghai')::date - $_, 'YYYYMMDD')") } 1 .. 3;

sub bill {
    my ($rows, $date) = @_;
    my $iso = $date =~ s/(....)(..)(..)/$1-$2-$3/r;
    return "#account=6222\n#business_date=$iso\norder_key,kind,amount\n" . join('', map { "$date-$_,payment,1.00\n" } 1 .. $rows);
}

sub deliver {
    my ($name, $content) = @_;
    my $folder = "$home/bills/$name" =~ s{/[^/]*$}{}r;
    mkdir $_ foreach "$home/bills", $folder;
    open(my $out, '>', "$home/bills/.upload") or die "$home: $!";
    print $out $content;
    close($out) or die "$home: $!";
    rename("$home/bills/.upload", "$home/bills/$name") or die "$name: $!";
    return;
}

sub status { return $finance->safe_psql('finance', "SELECT state || ' ' || coalesce(message, '') FROM reconcile.fetch_day WHERE business_date = '$_[0]'"); }
sub wait_for_day {
    my ($date, $state) = @_;
    return wait_for_query($finance, 'finance', "SELECT state FROM reconcile.fetch_day WHERE business_date = '$date'", $state, 30);
}

my $user = getpwuid($<);
$finance->safe_psql('finance', <<"SQL");
SELECT reconcile.create_channel('bank', 'Asia/Shanghai', 'CNY', account => '6222', first_date => '$earlier');
CREATE SERVER bank_sftp FOREIGN DATA WRAPPER reconcile_source OPTIONS (host '127.0.0.1', port '$ssh->{port}', known_hosts '$ssh->{known_hosts}');
CREATE USER MAPPING FOR reconcile_worker SERVER bank_sftp OPTIONS (user '$user', key_file '$ssh->{key}');
SQL

# ---- a file a day, by a pattern ----
deliver("$earlier/bill_1.csv", bill(3, $earlier));
deliver("$earlier/bill_2.csv.part", 'half');
deliver("$before/bill_1.csv", bill(4, $before));
$finance->safe_psql('finance', <<"SQL");
SELECT reconcile.create_file_source('bank bills', 'bank', 'generic.csv', 'sftp://$home/bills/{yyyyMMdd}/*.csv', account => '6222',
    options => '{"server": "bank_sftp", "ask_after": "-1 day", "every": "2 seconds", "stall_seconds": 5}');
SQL
wait_for_day($earlier, 'fetched');
wait_for_day($before, 'fetched');
is($finance->safe_psql('finance', 'SELECT count(*), sum(amount) FROM reconcile.entry'), '7|7.00', 'the files of two days are in');
is($finance->safe_psql('finance', "SELECT string_agg(name || ' ' || state, ',' ORDER BY business_date) FROM reconcile.fetch_file"),
    'bill_1.csv done,bill_1.csv done', 'and nothing else');
wait_for_query($finance, 'finance', "SELECT message ~ '^there is no file .*/$day/' FROM reconcile.fetch_day WHERE business_date = '$day'", 't', 30);
like($finance->safe_psql('finance', "SELECT state || ': ' || reason FROM reconcile.statement_status WHERE business_date = '$day'"),
    qr/^awaited: source "bank bills": awaited, there is no file .*asked \d+ times, next at/, 'a day whose file is not there yet says so');
like($finance->safe_psql('finance', "SELECT state || ' ' || message FROM reconcile.source_status"), qr/^running asked for/, 'and so does the source');
is(scalar(() = glob("$store/store/fetch/*/*/*")), 0, 'what was taken in is no longer among the downloads');
is($finance->safe_psql('finance', "SELECT count(*) FROM reconcile.stored_file_status WHERE path IS NOT NULL"), '2', 'but in the store');
deliver("$day/bill_1.csv", bill(5, $day));
wait_for_day($day, 'fetched');
is($finance->safe_psql('finance', 'SELECT count(*) FROM reconcile.entry'), '12', 'when it is there, it is taken in');

# ---- never twice ----
$finance->safe_psql('finance', "SELECT reconcile.fetch_again('bank bills', '$day')");
wait_for_day($day, 'fetched');
is($finance->safe_psql('finance', 'SELECT count(*) FROM reconcile.statement'), '3', 'the same file again is the same statement');

# ---- a name that the database cannot write down ----
deliver("$day/caf\xe9.csv", bill(1, $day));
$finance->safe_psql('finance', "SELECT reconcile.fetch_again('bank bills', '$day')");
wait_for_query($finance, 'finance', "SELECT message ~ 'file .caf.*csv. is left alone' FROM reconcile.fetch_day WHERE business_date = '$day'", 't', 30);
is($finance->safe_psql('finance', "SELECT string_agg(name, ',') FROM reconcile.fetch_file WHERE business_date = '$day'"), 'bill_1.csv',
    'is said, and the other files of the day are taken in');
unlink "$home/bills/$day/caf\xe9.csv" or die $!;

# ---- a transfer that breaks off, and a worker that is killed ----
my $big = bill(60_000, $day) =~ s/payment,1.00/payment,2.00/gr;
deliver("$day/bill_2.csv", $big);
FetchServers::throttle($ssh, 1);
$finance->safe_psql('finance', "SELECT reconcile.fetch_again('bank bills', '$day')");
wait_for_query($finance, 'finance', "SELECT count(*) FROM reconcile.fetch_file WHERE name = 'bill_2.csv' AND state = 'partial'", '1', 60);
my $part = (glob("$store/store/fetch/*/*/bill_2.csv.part"))[0];
ok(defined $part, 'a transfer is under way');
my $grown = sub { return defined $part && -e $part ? -s $part : 0 };
my $deadline = time + 30;
select(undef, undef, undef, 0.05) while $grown->() == 0 && time < $deadline;
is($finance->safe_psql('finance', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_reconcile source' AND xact_start IS NOT NULL"), '0',
    'no transaction is open meanwhile');
my $pid = $finance->safe_psql('finance', 'SELECT pid FROM reconcile.source_status WHERE pid IS NOT NULL');
my $log = -s $finance->logfile;
kill 'KILL', $pid;
$finance->wait_for_log(qr/database system is ready to accept connections/, $log);
my $kept = $grown->();
cmp_ok($kept, '>', 0, 'the worker is killed in the middle');
cmp_ok($kept, '<', length $big, 'indeed');
# It stalls: a shutdown is answered all the same.
FetchServers::stall($ssh);
wait_for_query($finance, 'finance', q{SELECT count(*) FROM reconcile.source_status WHERE state = 'running' AND message ~ 'asks for'}, '1', 60);
my $started = time;
$finance->safe_psql('finance', q{SELECT reconcile.pause_source('bank bills')});
wait_for_query($finance, 'finance', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_reconcile source'}, '0', 10);
cmp_ok(time - $started, '<=', 4, 'a stalled transfer does not hold a worker that is asked to end');
$kept = $grown->();
FetchServers::throttle($ssh, 0);
my $relayed = FetchServers::relay_log_size($ssh);
$finance->safe_psql('finance', q{SELECT reconcile.resume_source('bank bills')});
wait_for_query($finance, 'finance', "SELECT state FROM reconcile.fetch_day WHERE business_date = '$day'", 'fetched', 90);
is($finance->safe_psql('finance', q{SELECT count(*) FROM reconcile.entry WHERE amount = 2}), '60000', 'it is whole in the end');
is($finance->safe_psql('finance', q{SELECT count(*) FROM reconcile.statement WHERE file_name = 'bill_2.csv'}), '1', 'and one statement');
cmp_ok($finance->safe_psql('finance', q{SELECT attempts FROM reconcile.fetch_file WHERE name = 'bill_2.csv'}), '>', 1, 'after more than one transfer');
my ($longest) = sort { $b <=> $a } FetchServers::relayed($ssh, $relayed);
cmp_ok($longest, '<', length($big) - $kept + 65_536, 'the last of which brought only what was missing');

# ---- the server's key ----
FetchServers::change_host_key($ssh);
$finance->safe_psql('finance', "SELECT reconcile.fetch_again('bank bills', '$day')");
wait_for_day($day, 'failing');
like(status($day), qr/^failing the server's host key is not the one that is known/, 'another key is refused');
$finance->safe_psql('finance', "ALTER SERVER bank_sftp OPTIONS (SET known_hosts '/dev/null')");
$finance->safe_psql('finance', q{SELECT reconcile.pause_source('bank bills')});
wait_for_query($finance, 'finance', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_reconcile source'}, '0', 10);
$finance->safe_psql('finance', q{SELECT reconcile.resume_source('bank bills')} . "; SELECT reconcile.fetch_again('bank bills', '$before')");
wait_for_day($before, 'failing');
like(status($before), qr/host key is not the one that is known/, 'an unknown one, too');
$finance->safe_psql('finance', "ALTER SERVER bank_sftp OPTIONS (DROP known_hosts)");
$finance->safe_psql('finance', q{SELECT reconcile.pause_source('bank bills')});
wait_for_query($finance, 'finance', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_reconcile source'}, '0', 10);
$finance->safe_psql('finance', q{SELECT reconcile.resume_source('bank bills')} . "; SELECT reconcile.fetch_again('bank bills', '$before')");
wait_for_query($finance, 'finance', "SELECT message ~ 'host key is not known: it could be anybody' FROM reconcile.fetch_day WHERE business_date = '$before'", 't', 30);
$finance->safe_psql('finance', "ALTER SERVER bank_sftp OPTIONS (ADD host_key_sha256 '" . FetchServers::fingerprint($ssh) . "')");
$finance->safe_psql('finance', q{SELECT reconcile.pause_source('bank bills')});
wait_for_query($finance, 'finance', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_reconcile source'}, '0', 10);
$finance->safe_psql('finance', q{SELECT reconcile.resume_source('bank bills')} . "; SELECT reconcile.fetch_again('bank bills', '$before')");
wait_for_day($before, 'fetched');
pass('a fingerprint that is stated lets us in');

# ---- our key ----
$finance->safe_psql('finance', "ALTER USER MAPPING FOR reconcile_worker SERVER bank_sftp OPTIONS (SET key_file '$ssh->{rsa_key}')");
$finance->safe_psql('finance', q{SELECT reconcile.pause_source('bank bills')});
wait_for_query($finance, 'finance', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_reconcile source'}, '0', 10);
$finance->safe_psql('finance', q{SELECT reconcile.resume_source('bank bills')} . "; SELECT reconcile.fetch_again('bank bills', '$before')");
wait_for_query($finance, 'finance', q{SELECT state || ' ' || cause FROM reconcile.source_status}, 'paused worker', 30);
my $error = $finance->safe_psql('finance', 'SELECT last_error FROM reconcile.source_status');
like($error, qr/the channel does not let us in.*HINT: The key is an RSA key.*ssh-keygen -t ed25519/s, 'an RSA key: what is wrong is said');

is($finance->safe_psql('finance', "SELECT count(*) FROM (SELECT message FROM reconcile.fetch_day UNION ALL SELECT last_error FROM reconcile.source_state) m WHERE message ~ 'PRIVATE'"), '0', 'no secret is in a message');
$finance->stop;
FetchServers::stop($ssh);
done_testing();
