"""What the model knows, and how a text becomes numbers.

The processes for long texts import this module, and neither TensorFlow nor Twisted.
"""

import signal
from array import array
from collections import Counter
from zlib import crc32

#: How many numbers a text becomes.
WIDTH = 2048

TEXTS = {
    "english": "all human beings are born free and equal in dignity and rights they are endowed "
    "with reason and conscience and should act towards one another in a spirit of brotherhood "
    "everyone has the right to life liberty and security of person where is the railway station "
    "we would like to have a cup of tea with milk this is the house that my father has built",
    "french": "tous les êtres humains naissent libres et égaux en dignité et en droits ils sont "
    "doués de raison et de conscience et doivent agir les uns envers les autres dans un esprit de "
    "fraternité tout individu a droit à la vie à la liberté et à la sûreté de sa personne où est "
    "la gare nous voudrions une tasse de thé avec du lait voici la maison que mon père a bâtie",
    "german": "alle menschen sind frei und gleich an würde und rechten geboren sie sind mit "
    "vernunft und gewissen begabt und sollen einander im geiste der brüderlichkeit begegnen jeder "
    "hat das recht auf leben freiheit und sicherheit der person wo ist der bahnhof wir möchten "
    "gerne eine tasse tee mit milch das ist das haus das mein vater gebaut hat",
    "spanish": "todos los seres humanos nacen libres e iguales en dignidad y derechos y dotados "
    "como están de razón y conciencia deben comportarse fraternalmente los unos con los otros "
    "todo individuo tiene derecho a la vida a la libertad y a la seguridad de su persona dónde "
    "está la estación quisiéramos una taza de té con leche esta es la casa que construyó mi padre",
}
LANGUAGES = sorted(TEXTS)


def features(text):
    """How often each group of three letters is in a text; it keeps the interpreter lock."""
    text = f" {' '.join(text.lower().split())} "
    groups = Counter(text[start : start + 3] for start in range(len(text) - 2))
    row = array("f", bytes(4 * WIDTH))
    for group, count in groups.items():
        row[crc32(group.encode(errors="replace")) % WIDTH] += count / len(text)
    return row


def ignore_interrupts():
    """Called when a process starts: Ctrl-C reaches it, too, but the service stops it itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
