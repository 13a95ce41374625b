"""What the service is about."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BOOKS", "Book"]


class Book(NamedTuple):
    """A row of the table, and an answer of the service."""

    id: int
    title: str
    author: str
    published: int


BOOKS = (
    Book(1, "Emma", "Jane Austen", 1815),
    Book(2, "Frankenstein", "Mary Shelley", 1818),
    Book(3, "Ivanhoe", "Walter Scott", 1819),
    Book(4, "Jane Eyre", "Charlotte Brontë", 1847),
    Book(5, "Moby-Dick", "Herman Melville", 1851),
    Book(6, "Walden", "Henry David Thoreau", 1854),
    Book(7, "Silas Marner", "George Eliot", 1861),
    Book(8, "Middlemarch", "George Eliot", 1871),
    Book(9, "Dracula", "Bram Stoker", 1897),
    Book(10, "Kim", "Rudyard Kipling", 1901),
    Book(11, "Ulysses", "James Joyce", 1922),
    Book(12, "The Trial", "Franz Kafka", 1925),
)
