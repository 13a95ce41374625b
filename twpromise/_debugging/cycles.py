"""Cycles among promises that wait for each other: deadlocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["find_cycles"]


def find_cycles(edges: Mapping[int, Sequence[int]]) -> list[list[int]]:
    """One cycle of each set of nodes that reach one another, its smallest node first.

    Args:
        edges: The nodes that each node leads to, for each node.
    """
    return [_cycle_in(group, edges) for group in _groups(edges)]


def _groups(edges: Mapping[int, Sequence[int]]) -> list[set[int]]:
    """The strongly connected sets that have a cycle, by Tarjan's algorithm without recursion.

    Chains are longer than Python's stack.
    """
    numbers: dict[int, int] = {}
    lowest: dict[int, int] = {}
    path: list[int] = []
    on_path: set[int] = set()
    groups: list[set[int]] = []
    for start in edges:
        if start in numbers:
            continue
        numbers[start] = lowest[start] = len(numbers)
        path.append(start)
        on_path.add(start)
        calls = [(start, iter(edges[start]))]
        while calls:
            node, ahead = calls[-1]
            for other in ahead:
                if other not in numbers:
                    numbers[other] = lowest[other] = len(numbers)
                    path.append(other)
                    on_path.add(other)
                    calls.append((other, iter(edges[other])))
                    break
                if other in on_path:
                    lowest[node] = min(lowest[node], numbers[other])
            else:
                calls.pop()
                if calls:
                    before = calls[-1][0]
                    lowest[before] = min(lowest[before], lowest[node])
                if lowest[node] == numbers[node]:
                    group = {path.pop()}
                    while node not in group:
                        group.add(path.pop())
                    on_path -= group
                    if len(group) > 1 or node in edges[node]:
                        groups.append(group)
    return groups


def _cycle_in(group: set[int], edges: Mapping[int, Sequence[int]]) -> list[int]:
    """The shortest way from the smallest node of a group back to itself."""
    first = min(group)
    came_from: dict[int, int] = {}
    level = [first]
    while first not in came_from:
        after: list[int] = []
        for node in level:
            for other in edges[node]:
                if other in group and other not in came_from:
                    came_from[other] = node
                    after.append(other)
        level = after
    cycle = [came_from[first]]
    while cycle[-1] != first:
        cycle.append(came_from[cycle[-1]])
    return cycle[::-1]
