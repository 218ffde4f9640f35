# Given a source whose host name is looked up by a resolver that does not answer,
# when the source is paused, its time is up, or the server is stopped,
# then the worker does not keep anybody waiting.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ReconcileNode;
use ShopAndFinance;
use Test::More;
use Time::HiRes qw(time);

my $finance = reconcile_node('finance');
{
    my $pkglibdir = qx($ENV{PG_CONFIG} --pkglibdir);
    chomp $pkglibdir;
    local $ENV{LD_PRELOAD} = "$ENV{PG_RECONCILE_STAGE}$pkglibdir/pg_reconcile_slow_resolver.so";
    $finance->start;
}
$finance->safe_psql('postgres', 'CREATE DATABASE finance');
create_extension($finance, 'finance');
$finance->safe_psql('finance', <<'SQL');
SELECT reconcile.create_channel('alipay', 'Asia/Shanghai', 'CNY', first_date => current_date - 40);
SELECT reconcile.create_account('alipay', '2088');
SQL
{ package Nowhere; sub host { return 'slow.invalid' } sub port { return 5432 } }
create_source($finance, bless({}, 'Nowhere'));

my $connecting = q{SELECT pid IS NOT NULL AND message ~ '^connecting' FROM reconcile.source_status};
my $ended = 'SELECT pid IS NULL FROM reconcile.source_status';
ok(wait_for_query($finance, 'finance', $connecting, 't', 30), 'a worker waits for the resolver');
$finance->safe_psql('finance', q{SELECT reconcile.pause_source('shop payments')});
ok(wait_for_query($finance, 'finance', $ended, 't', 10), 'and ends when its source is paused');

$finance->safe_psql('finance', q{ALTER SERVER shop OPTIONS (ADD connect_timeout '2'); SELECT reconcile.resume_source('shop payments')});
ok(wait_for_query($finance, 'finance', q{SELECT last_error ~ 'could not translate host name "slow.invalid".*the resolver does not answer'
    FROM reconcile.source_status}, 't', 15), 'connect_timeout holds for the resolver too');

$finance->safe_psql('finance', q{ALTER SERVER shop OPTIONS (SET connect_timeout '60'); SELECT reconcile.resume_source('shop payments')});
wait_for_query($finance, 'finance', $connecting, 't', 30);
my $started = time;
$finance->stop('fast');
cmp_ok(time - $started, '<', 20, 'the server stops at once');
done_testing();
