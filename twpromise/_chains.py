"""Where each of those belongs that were passed over in a chain of followers.

Promises that follow one another are a chain.  One that only another follows is passed over: what
stands behind it follows what stood before it, and nothing leads to the one between any more, so
that endless loops do not pile up.  But somebody may still hold it, and come to it: then it needs
its place again, among those that are left.

So places have numbers, which grow outwards, from what is followed in the end to the last follower.
One that was passed over knows its chain and its number; a chain knows those of its members that
still stand in it, and finds the next one by halving.  A chain grows at both ends, and is joined to
another that ends where it begins: the shorter is renumbered, and leads to the longer.

This room knows nothing of promises.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any, Final, final

__all__ = ["Chain"]

#: How many members stand in one block at most: so that another one is put among many at the cost
#: of putting it among few.
_LOAD: Final = 512


class _Block:
    """Members that stand next to each other, inside first, and the number of each."""

    __slots__ = ("members", "numbers")

    def __init__(self, members: list[Any], numbers: list[int]) -> None:
        self.members = members
        self.numbers = numbers


def _last_number(block: _Block) -> int:
    return block.numbers[-1]


@final
class Chain:
    """Followers of one another, some of which are passed over."""

    __slots__ = ("_blocks", "_cut", "_low", "_shift", "joined", "several")

    def __init__(self, member: Any) -> None:
        # Those that stand in it, inside first; none of the blocks is empty.
        self._blocks = [_Block([member], [0])]
        # The least number that was ever given, to whoever.
        self._low = 0
        #: It has, or had, more than one member.
        self.several = False
        # A member that was cancelled, and with it all outside, before the others: the outermost.
        self._cut: Any = None
        #: What it has been joined to; there, its numbers are greater by `_shift`.
        self.joined: Chain | None = None

    def now(self) -> tuple[Chain, int]:
        """The chain that this is a part of by now, and what to add to a number given by this."""
        chain, shift = self, 0
        # However often it was joined, that is soon found: each time to one that is longer.
        while chain.joined is not None:
            shift += chain._shift
            chain = chain.joined
        return chain, shift

    def ends_with(self, member: Any) -> bool:
        """Whether this is its outermost member."""
        chain = self.now()[0]
        return chain._cut is None and chain._blocks[-1].members[-1] is member

    def consists_of(self, members: object) -> bool:
        """Whether this is a list of its members."""
        return any(block.members is members for block in self.now()[0]._blocks)

    def told(self, member: Any) -> None:
        """A member is told of its outcome, just before it is the turn of those outside of it.

        The last one speaks for all then, whose outcome is the same: whoever keeps one that was
        passed over does not keep the others.
        """
        chain = self.now()[0]
        blocks = chain._blocks
        if blocks and blocks[-1].members[-1] is member:
            chain._blocks = [_Block([member], blocks[-1].numbers[-1:])]

    def cut(self, member: Any) -> None:
        """A member is cancelled, with all that are outside of it, and not those inside."""
        chain = self.now()[0]
        while chain._pop()[0] is not member:
            pass
        chain._cut = member

    # What follows is asked of a chain that is no part of another.

    def prepend(self) -> int:
        """A number for somebody innermost, who is passed over."""
        self._low -= 1
        return self._low

    def behind(self, number: int) -> tuple[tuple[int, int], Any]:
        """The innermost member outside of a number that was passed over, and its place here.

        Or the one that was cancelled, and with it all outside.
        """
        blocks = self._blocks
        # Most often there is one.
        first = bisect_left(blocks, number, key=_last_number) if len(blocks) > 1 else 0
        if first < len(blocks):
            block = blocks[first]
            second = bisect_left(block.numbers, number)
            if second < len(block.members):
                return (first, second), block.members[second]
        return (first, 0), self._cut

    def insert(self, place: tuple[int, int], number: int, member: Any) -> None:
        """One that was passed over stands in the chain again, where a member does."""
        self.several = True
        first, second = place
        block = self._blocks[first]
        members, numbers = block.members, block.numbers
        members.insert(second, member)
        numbers.insert(second, number)
        if len(members) > _LOAD:
            half = len(members) // 2
            self._blocks.insert(first + 1, _Block(members[half:], numbers[half:]))
            del members[half:], numbers[half:]

    def succeed(self, member: Any) -> int:
        """Have another one stand outermost, in the place of one that is passed over.

        Returns:
            The number of the latter.
        """
        block = self._blocks[-1]
        number = block.numbers[-1]
        block.members[-1] = member
        block.numbers[-1] = number + 1
        return number

    def join(self, outer: Chain) -> int:
        """Go on with another chain, in the place of the outermost member, which is passed over.

        Returns:
            The number of the latter, in this chain.
        """
        # Most often that is its only one: who was put back in a chain is waited for by others, too.
        self.several = outer.several = True
        number = self._pop()[1]
        # What is added to numbers of the other, if that is joined to this.
        shift = number + 1 - outer._low
        if number - self._low >= _last_number(outer._blocks[-1]) - outer._low:
            outer._renumber(shift)
            self._blocks += outer._blocks
            self._cut = outer._cut
            outer._leads_to(self, shift)
        else:
            self._renumber(-shift)
            outer._blocks[:0] = self._blocks
            outer._low = self._low - shift
            self._leads_to(outer, -shift)
        return number

    def _pop(self) -> tuple[Any, int]:
        """Take out the outermost member, and its number."""
        block = self._blocks[-1]
        member, number = block.members.pop(), block.numbers.pop()
        if not block.members:
            self._blocks.pop()
        return member, number

    def _renumber(self, shift: int) -> None:
        for block in self._blocks:
            block.numbers = [number + shift for number in block.numbers]

    def _leads_to(self, chain: Chain, shift: int) -> None:
        self.joined, self._shift = chain, shift
        self._blocks, self._cut = [], None
