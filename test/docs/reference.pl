#!/usr/bin/perl
# Checks docs/sql-reference.md against the catalog of a database with the extension.
#
#   reference.pl database docs/sql-reference.md
#
# Every routine that a role of the extension (the owner aside) may execute is there, as
#   ### name, a ```text block with its signature, `For: ` with the roles it is granted to, a ```sql example; or
#   a row `name` in the table below "## Called by others".
# Every view is there as ### name with a table of its columns and what COMMENT ON COLUMN says of them, and every table that a
# reader may select from as a row of a table with its comment. And nothing is there that does not exist.
use strict;
use warnings;
use utf8;
use File::Temp;

my ($database, $document) = @ARGV;
die "usage: reference.pl database document.md\n" if !defined $document;

# A role that is a member of another one in the list goes without saying.
my @routine = ask(q{
  SELECT p.proname,
         p.proname || '(' || regexp_replace(regexp_replace(pg_get_function_arguments(p.oid), '\mIN ', '', 'g'),
                                            '::[a-z ]+(\[\])?', '', 'g') || ')'
           || coalesce(' → ' || pg_get_function_result(p.oid), ''),
         (SELECT string_agg('`' || r.rolname || '`', ', ' ORDER BY r.rolname) FROM granted r
          WHERE r.oid = p.oid AND NOT EXISTS (SELECT FROM granted o WHERE o.oid = p.oid AND o.role <> r.role AND pg_has_role(r.role, o.role, 'MEMBER')))
  FROM pg_proc p
  WHERE EXISTS (SELECT FROM granted g WHERE g.oid = p.oid)
  ORDER BY p.proname, 2});
my @column = ask(q{
  SELECT c.relname, a.attname, coalesce(col_description(c.oid, a.attnum), '')
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  WHERE c.relnamespace = 'reconcile'::regnamespace AND c.relkind = 'v' ORDER BY c.relname, a.attnum});
my @table = ask(q{
  SELECT c.relname, coalesce(obj_description(c.oid, 'pg_class'), '') FROM pg_class c
  WHERE c.relnamespace = 'reconcile'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND has_table_privilege('reconcile_operator', c.oid, 'SELECT') ORDER BY 1});

my (%section, @order, %called);
my $name = '';
my $chapter = '';
foreach my $line (split /\n/, slurp($document)) {
    if ($line =~ /^## (.*)/) { ($chapter, $name) = ($1, '') }
    elsif ($line =~ /^### (\w+)$/) { $name = $1; push @order, $name; $section{$name} = '' }
    elsif ($name eq '' && $chapter eq 'Called by others' && $line =~ /^\| `(\w+)`/) { $called{$1} = 1 }
    elsif ($name ne '') { $section{$name} .= "$line\n" }
}
my %row = map { /^\| `(?:reconcile\.)?(\w+)` \| (.*) \|$/ ? ($1 => $2) : () } split /\n/, slurp($document);

my (@wrong, %known);
foreach (@routine) {
    my ($routine, $signature, $roles) = @{$_};
    $known{$routine} = 1;
    next if $called{$routine} && !defined $section{$routine};
    if (!defined $section{$routine}) {
        push @wrong, "### $routine is missing (or `$routine` in \"Called by others\"): reconcile.$signature, for $roles";
        next;
    }
    my $stated = join ' ', $section{$routine} =~ /```text\n(.*?)```/gs;
    push @wrong, "### $routine: the signature is\n    reconcile.$signature" if index(squeezed($stated), squeezed("reconcile.$signature")) < 0;
    push @wrong, "### $routine: the line of its roles is\n    For: $roles" if $section{$routine} !~ /^For: \Q$roles\E\.?$/m;
    push @wrong, "### $routine: no ```sql example calls it" if $section{$routine} !~ /```sql\n(?:(?!```).)*\breconcile\.$routine\(/s;
}
my %columns;
push @{ $columns{ $_->[0] } }, "| `$_->[1]` | $_->[2] |" foreach @column;
foreach my $view (sort keys %columns) {
    $known{$view} = 1;
    my $is = join "\n", ($section{$view} // '') =~ /^(\| `.*)$/mg;
    my $should = join "\n", @{ $columns{$view} };
    push @wrong, "### $view: its columns are\n$should" if $is ne $should;
    push @wrong, "### $view: no ```sql example reads it" if ($section{$view} // '') !~ /```sql\n(?:(?!```).)*\breconcile\.$view\b/s;
}
foreach (@table) {
    my ($table, $comment) = @{$_};
    push @wrong, "the table's row is\n| `$table` | $comment |" if ($row{$table} // '') ne $comment;
}
push @wrong, "### $_ does not exist" foreach grep { !$known{$_} } @order;
push @wrong, "\"Called by others\": `$_` does not exist, or has a section of its own" foreach grep { !$known{$_} || defined $section{$_} } sort keys %called;

print "$document: $_\n" foreach @wrong;
exit(@wrong ? 1 : 0);

sub squeezed { return shift =~ s/\s+/ /gr =~ s/([(\[]) /$1/gr =~ s/ ([)\]])/$1/gr }

# In a transaction that ends with nothing: the entry tables are made by install(), not by the extension's script.
sub ask {
    my ($query) = @_;
    my $script = q{BEGIN; SELECT reconcile.install() \gset
      CREATE TEMPORARY VIEW granted AS SELECT DISTINCT p.oid, r.oid AS role, r.rolname FROM pg_proc p, aclexplode(p.proacl) a
        JOIN pg_roles r ON r.oid = a.grantee
        WHERE p.pronamespace = 'reconcile'::regnamespace AND r.rolname LIKE 'reconcile\_%' AND r.rolname <> 'reconcile_owner';}
      . "$query;\nROLLBACK;\n";
    local $ENV{PGCLIENTENCODING} = 'UTF8';
    open my $in, '-|', 'psql', '-X', '-q', '-A', '-t', '-F', "\x1f", '-d', $database, '-v', 'ON_ERROR_STOP=1', '-f', script($script)
        or die "cannot run psql: $!\n";
    binmode $in, ':encoding(UTF-8)';
    chomp(my @rows = <$in>);
    close $in or die "psql failed\n";
    return map { [split /\x1f/, $_, -1] } @rows;
}
sub script {
    my ($text) = @_;
    our @kept;
    my $file = File::Temp->new;
    binmode $file, ':encoding(UTF-8)';
    print {$file} $text;
    close $file;
    push @kept, $file;
    return $file->filename;
}
sub slurp {
    my ($path) = @_;
    open my $in, '<:encoding(UTF-8)', $path or die "cannot read $path: $!\n";
    local $/ = undef;
    return scalar <$in>;
}
BEGIN { binmode STDOUT, ':encoding(UTF-8)' }
