"""Names of functions as people say them."""
import re


def short(name):
    """Without parameters, template arguments, return type and the names of the house."""
    name = name.replace('(anonymous namespace)::', '').replace('operator()', 'call')
    previous = None
    while previous != name:
        previous, name = name, re.sub(r'<[^<>]*>|\([^()]*\)|\[[^][]*\]', '', name)
    name = re.sub(r'\b(icapgate|boost|asio|detail|std|__cxx11)::', '', name)
    words = [word for word in name.split() if word not in ('const', 'clone')]
    return ' '.join(words[-2:]) if words[:1] == ['operator'] else (words or ['?'])[-1]
