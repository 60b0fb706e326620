"""What callgrind counted: instructions in all and by function, and who called whom."""
import collections
import re


class Profile:
    """The sum of one output file.

    total: instructions. own: instructions by function. system: system calls by function, if they
    were collected. calls, inclusive: number of calls and the instructions below them, by (caller,
    callee).
    """

    def __init__(self, path):
        self.total = 0
        self.own = collections.Counter()
        self.system = collections.Counter()
        self.calls = collections.Counter()
        self.inclusive = collections.Counter()
        self._names = {}
        with open(path, encoding='utf-8', errors='replace') as lines:
            self._read(lines)

    def _name(self, text):
        # "(12) name" says what 12 stands for from there on, "(12)" stands for it.
        number, name = re.match(r'\((\d+)\)(?: (.*))?', text).groups()
        if name is not None:
            self._names[number] = name
        return self._names[number]

    def _read(self, lines):
        function = callee = None
        count = 0
        for line in lines:
            if line.startswith('fn='):
                function = self._name(line[3:].rstrip())
            elif line.startswith('cfn='):
                callee = self._name(line[4:].rstrip())
            elif line.startswith('calls='):
                count = int(line[6:].split()[0])
            elif line[:1] in '0123456789+-*' and function:
                cost, *system = map(int, line.split()[1:])
                if callee:
                    self.calls[function, callee] += count
                    self.inclusive[function, callee] += cost
                    callee = None
                else:
                    self.own[function] += cost
                    self.system[function] += sum(system[:1])
            elif line.startswith(('summary:', 'totals:')):
                self.total = int(line.split()[1])

    def calls_of(self, chosen):
        """Calls of functions that are chosen(name), by caller; not those among themselves."""
        found = collections.Counter()
        for (caller, callee), count in self.calls.items():
            if chosen(callee) and not chosen(caller):
                found[caller] += count
        return found

    def __sub__(self, other):
        rest = Profile.__new__(Profile)
        rest.total = self.total - other.total
        rest._names = {}
        for part in ('own', 'system', 'calls', 'inclusive'):
            difference = collections.Counter(getattr(self, part))
            difference.subtract(getattr(other, part))
            setattr(rest, part, difference)
        return rest
