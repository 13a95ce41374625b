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
from typing import Any, final

__all__ = ["Chain"]


@final
class Chain:
    """Followers of one another, some of which are passed over."""

    __slots__ = ("_cut", "_low", "_members", "_numbers", "_shift", "joined", "several")

    def __init__(self, member: Any) -> None:
        # Those that stand in it, inside first, and the number of each.
        self._members = [member]
        self._numbers = [0]
        # The least number that was ever given, to whoever.
        self._low = 0
        #: It has, or had, more than one member.
        self.several = False
        # The outermost member was cancelled before the others.
        self._cut = False
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
        return self.now()[0]._members[-1] is member

    def consists_of(self, members: object) -> bool:
        """Whether this is the very list of its members."""
        return members is self.now()[0]._members

    def told(self, member: Any) -> None:
        """A member is told of its outcome, just before it is the turn of those outside of it.

        The last one speaks for all then, whose outcome is the same: whoever keeps one that was
        passed over does not keep the others.
        """
        chain = self.now()[0]
        last = len(chain._members) - 1 - chain._cut
        if chain._members[last] is member:
            del chain._members[:last], chain._numbers[:last]

    def cut(self, member: Any) -> None:
        """A member is cancelled, with all that are outside of it, and not those inside."""
        chain = self.now()[0]
        while chain._members[-1] is not member:
            chain._members.pop()
            chain._numbers.pop()
        chain._cut = True

    # What follows is asked of a chain that is no part of another.

    def prepend(self) -> int:
        """A number for somebody innermost, who is passed over."""
        self._low -= 1
        return self._low

    def behind(self, number: int) -> tuple[int, Any]:
        """The innermost member outside of a number that was passed over, and its place here.

        Or the outermost, if it was cancelled, and with it all outside.
        """
        place = min(bisect_left(self._numbers, number), len(self._members) - 1)
        return place, self._members[place]

    def insert(self, place: int, number: int, member: Any) -> None:
        """One that was passed over stands in the chain again."""
        self.several = True
        self._members.insert(place, member)
        self._numbers.insert(place, number)

    def succeed(self, member: Any) -> int:
        """Have another one stand outermost, in the place of one that is passed over.

        Returns:
            The number of the latter.
        """
        number = self._numbers[-1]
        self._members[-1] = member
        self._numbers[-1] = number + 1
        return number

    def join(self, outer: Chain) -> int:
        """Go on with another chain, in the place of the outermost member, which is passed over.

        Returns:
            The number of the latter, in this chain.
        """
        self.several = outer.several = True
        number = self._numbers.pop()
        self._members.pop()
        # What is added to numbers of the other, if that is joined to this.
        shift = number + 1 - outer._low
        if number - self._low >= outer._numbers[-1] - outer._low:
            self._members += outer._members
            self._numbers += [other + shift for other in outer._numbers]
            self._cut = outer._cut
            outer._leads_to(self, shift)
        else:
            outer._members[:0] = self._members
            outer._numbers[:0] = [other - shift for other in self._numbers]
            outer._low = self._low - shift
            self._leads_to(outer, -shift)
        return number

    def _leads_to(self, chain: Chain, shift: int) -> None:
        self.joined, self._shift = chain, shift
        self._members, self._numbers = [], []
