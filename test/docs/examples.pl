#!/usr/bin/perl
# Executes the SQL examples of one document, in order, in a fresh database with the extension, as a superuser.
#
#   examples.pl --template database --files folder document.md
#
# Exits 0 when every example did what the document says, 1 when one did not, 3 when the document has no examples.
#
# What a document may say:
#   - Blocks fenced as ```sql are executed. Blocks fenced without a language, or with another one, are not.
#   - Comment lines directly below a statement, in the form of psql's table (a header with ` | ` between the names, or
#     a second line of dashes), are its result. They are compared cell by cell; a cell `...` stands for any value. Lines
#     of dashes and `(n rows)` may be left out.
#   - /tmp/ and /srv/ in SQL are folders of the test's own, readable and writable by the server.
#   - An HTML comment in the line before a block says what the reader sees without it:
#       <!-- as: reconcile_approver -->    the block runs as that role's login (SET SESSION AUTHORIZATION)
#       <!-- database: shop -->            the block runs in another database of that name, which starts empty
#       <!-- error: 42704 -->              the block's last statement ends with that SQLSTATE
#     Several are joined with a semicolon: <!-- as: auditor; error: 42501 -->
#     and a comment that starts with a line `<!-- before:` (`<!-- before in shop:`) holds SQL that is executed at that
#     place, unseen by the reader.
use strict;
use warnings;

my $mark = "\x1e";    # no document contains it
my %option;
while (@ARGV && $ARGV[0] =~ /^--(\w+)$/) { $option{$1} = $ARGV[1]; splice @ARGV, 0, 2 }
my ($document) = @ARGV;
die "usage: examples.pl --template database --files folder document.md\n" if !defined $document || !$option{template} || !$option{files};

my @block = blocks(slurp($document));
exit 3 if !@block;
my @statement = map { statements($_) } @block;
die_at($block[0]{line}, 'the blocks hold no statement') if !@statement;

my $main = 'document_' . ($document =~ s/\W+/_/gr);
my %roles_before = map { $_ => 1 } ask('SELECT rolname FROM pg_roles');
my %databases = map { ($_->{database} => 1) } grep { defined $_->{database} } @block;
ask(qq{CREATE DATABASE "$main" TEMPLATE "$option{template}"});
ask(qq{CREATE DATABASE "$_" TEMPLATE template0}) foreach sort keys %databases;
my @wrong = run();
ask(qq{DROP DATABASE "$_" WITH (FORCE)}) foreach $main, sort keys %databases;
foreach my $role (ask('SELECT rolname FROM pg_roles')) { ask(qq{DROP ROLE "$role"}) if !$roles_before{$role} }

print "$_\n" foreach @wrong;
exit(@wrong ? 1 : 0);

# The blocks: text, line of the text's first line, and what the comment before them says.
sub blocks {
    my @line = split /\n/, shift, -1;
    my (@found, %said);
    for (my $i = 0; $i < @line; ++$i) {
        if ($line[$i] =~ /^<!-- before(?: in (\w+))?:\s*$/) {
            my ($database, $first) = ($1, ++$i);
            ++$i while $i < @line && $line[$i] !~ /^-->/;
            push @found, { database => $database, text => join("\n", @line[$first .. $i - 1]), line => $first + 1 };
        } elsif ($line[$i] =~ /^<!--\s*(\w+:.*?)\s*-->\s*$/) {
            foreach my $word (split /\s*;\s*/, $1) {
                my ($name, $value) = $word =~ /^(\w+):\s*(\w+)$/;
                die_at($i + 1, "\"$word\" is none of as, database, error, before") if !defined $name || $name !~ /^(?:as|database|error)$/;
                $said{$name} = $value;
            }
        } elsif ($line[$i] =~ /^\s*```(\S*)/) {
            my ($language, $first) = ($1, ++$i);
            ++$i while $i < @line && $line[$i] !~ /^\s*```\s*$/;
            die_at($first, 'the block has no end') if $i >= @line;
            push @found, { %said, text => join("\n", @line[$first .. $i - 1]), line => $first + 1 } if $language eq 'sql';
            die_at($first, 'the comment before this block needs a ```sql block') if %said && $language ne 'sql';
            %said = ();
        } elsif (%said && $line[$i] =~ /\S/) {
            die_at($i + 1, 'the comment before this line needs a ```sql block after it');
        }
    }
    return @found;
}

# The statements of a block, each with its line and, where the document gives one, its result.
sub statements {
    my ($block) = @_;
    my ($text, $sql, $start, @found) = ($block->{text}, '', undef);
    my $line = $block->{line};
    while ($text =~ /\G(?<token> '(?:[^']|'')*' | "(?:[^"]|"")*" | (?<tag>\$\w*\$) .*? \g{tag} | --[^\n]*
                       | \/\*.*?\*\/ | ; | \s+ | . )/xgcs) {
        my $token = $+{token};
        my $comment = $token =~ m{^(?:--|/\*)};
        $start = $line if !defined $start && !$comment && $token =~ /\S/;
        $sql .= $token if defined $start;
        $line += $token =~ tr/\n//;
        next if $token ne ';';
        my %statement = (%{$block}, sql => $sql, line => $start);
        if ($text =~ /\G[^\n]*\n((?:[ \t]*--[^\n]*(?:\n|\z))+)/gc) {
            my $below = $1;
            $statement{result} = result($below);
            $line += 1 + ($below =~ tr/\n//);
        }
        push @found, \%statement;
        ($sql, $start) = ('', undef);
    }
    die_at($start, 'the statement does not end with a semicolon') if defined $start;
    $found[-1]{fails} = $block->{error} if @found && defined $block->{error};
    delete $_->{error} foreach @found;
    $_->{first} = $_ == $found[0], $_->{last} = $_ == $found[-1] foreach @found;
    return @found;
}

# Rows of cells, when the comment is a result; else undef.
sub result {
    my @line = map { s/^\s*--\s?//r } split /\n/, shift;
    return undef if $line[0] !~ / \| / && ($line[1] // '') !~ /^-+\s*$/;
    return [map { [cells($_)] } grep { !/^[-+ ]*$/ && !/^\(\d+ rows?\)$/ } @line];
}
sub cells { return map { s/^\s+|\s+$//gr } split /\|/, shift, -1 }

# One psql for the document. Stops at the first statement that does what the document does not say.
sub run {
    my $script = "$option{files}/script.sql";
    my $errors = "$option{files}/errors";
    open my $out, '>:encoding(UTF-8)', $script or die "cannot write $script: $!\n";
    print {$out} "\\pset format unaligned\n\\pset fieldsep '|'\n\\pset footer off\n\\pset null ''\n";
    my $database = $main;
    foreach my $n (0 .. $#statement) {
        my $s = $statement[$n];
        if ($s->{first}) {
            my $wanted = $s->{database} // $main;
            print {$out} qq{\\connect "$wanted"\n} if $wanted ne $database;
            $database = $wanted;
            print {$out} qq{SET SESSION AUTHORIZATION "$s->{as}";\n} if defined $s->{as};
        }
        my $sql = $s->{sql} =~ s{(?<![\w/.])/(tmp|srv)/}{$option{files}/$1/}gr;
        $sql =~ s{file:///(tmp|srv)/}{file://$option{files}/$1/}g;
        print {$out} "\\echo ${mark}begin $n\n$sql\n\\echo ${mark}end :ERROR :SQLSTATE\n";
        print {$out} "\\if :ERROR\n\\quit\n\\endif\n" if !$s->{fails};
        print {$out} "RESET SESSION AUTHORIZATION;\n" if $s->{last} && defined $s->{as};
    }
    close $out or die "cannot write $script: $!\n";
    open my $in, '-|', "psql -X -q -d '$main' -f '$script' 2>'$errors'" or die "cannot run psql: $!\n";
    binmode $in, ':encoding(UTF-8)';
    my ($current, @rows, @wrong);
    my $answered = 0;
    while (my $line = <$in>) {
        chomp $line;
        if ($line =~ /^${mark}begin (\d+)$/) {
            ($current, @rows) = ($statement[$1]);
        } elsif ($line =~ /^${mark}end (\w+) (\w+)$/) {
            ++$answered;
            push @wrong, judge($current, $1 eq 'true' ? $2 : undef, \@rows, $errors);
        } else {
            push @rows, $line;
        }
    }
    close $in;
    push @wrong, at($current->{line}, 'the server or psql ended: ' . slurp($errors)) if !@wrong && $answered < @statement;
    return @wrong;
}

sub judge {
    my ($s, $error, $rows, $errors) = @_;
    my ($message) = slurp($errors) =~ /.*(ERROR: .*)/s;
    return at($s->{line}, "$error: $message") if defined $error && !$s->{fails};
    return at($s->{line}, "ended with $error, not with $s->{fails}: $message") if defined $error && $error ne $s->{fails};
    return at($s->{line}, "succeeded, and error $s->{fails} was expected") if !defined $error && $s->{fails};
    return if !$s->{result};
    my @is = map { [cells($_)] } @{$rows};
    return if same(\@is, $s->{result});
    return at($s->{line}, "the result is not what the document says:\n    " . join("\n    ", @{$rows}));
}

sub same {
    my ($is, $should) = @_;
    return 0 if @{$is} != @{$should};
    foreach my $row (0 .. $#{$is}) {
        return 0 if @{ $is->[$row] } != @{ $should->[$row] };
        foreach my $cell (0 .. $#{ $is->[$row] }) {
            return 0 if $should->[$row][$cell] ne '...' && $is->[$row][$cell] ne $should->[$row][$cell];
        }
    }
    return 1;
}

sub ask {
    my ($sql) = @_;
    open my $in, '-|', 'psql', '-X', '-q', '-A', '-t', '-d', 'postgres', '-v', 'ON_ERROR_STOP=1', '-c', $sql or die "cannot run psql: $!\n";
    chomp(my @rows = <$in>);
    close $in or die "psql failed: $sql\n";
    return @rows;
}
sub at { my ($line, $what) = @_; return "$document:$line: $what" }
sub die_at { print at(@_), "\n"; exit 1 }
sub slurp {
    my ($path) = @_;
    open my $in, '<:encoding(UTF-8)', $path or die "cannot read $path: $!\n";
    local $/ = undef;
    return scalar(<$in>) // '';
}
