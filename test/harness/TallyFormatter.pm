package TallyFormatter;

# prove's console output, and beside it one line for `make check` to add up: passed, failed, skipped.
# A file that died, planned wrongly or ran nothing counts as a failure even when each of its tests passed.

use strict;
use warnings;
use parent 'TAP::Formatter::Console';

sub summary {
    my ($self, $aggregate, @rest) = @_;
    $self->SUPER::summary($aggregate, @rest);
    my $path = $ENV{PG_RECONCILE_TALLY} or return;
    my $failed = 0;
    foreach my $parser ($aggregate->parsers) {
        my $here = scalar $parser->failed;
        my $broken = $parser->parse_errors || $parser->exit || $parser->wait || (!$parser->tests_run && !$parser->skip_all);
        $failed += $here || ($broken ? 1 : 0);
    }
    my $skipped = scalar $aggregate->skipped;
    $skipped += grep { $_->skip_all } $aggregate->parsers;
    my $passed = $aggregate->passed - scalar $aggregate->skipped;
    open my $tally, '>>', $path or die "cannot write $path: $!\n";
    print {$tally} "$passed $failed $skipped\n";
    close $tally or die "cannot write $path: $!\n";
    return;
}

1;
