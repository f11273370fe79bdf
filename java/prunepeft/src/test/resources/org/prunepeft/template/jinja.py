"""What Python's jinja2 makes of templates, in the environment in which chat templates are rendered.

    python3 jinja.py > expected.json     writes the cases anew
    python3 jinja.py DIRECTORY           what comes of the chat templates there, which are somebody else's
    python3 jinja.py - < cases.json      a JSON array of [template, variables]: what comes of each, as JSON

Of the features each template has the same variables; of the files each has every conversation. What comes of it is
the text with the ranges that {% generation %} wrote, or null for an error, with its message where the templates are
somebody else's. The time is always 2026-03-07 09:05:03.
"""

import datetime
import functools
import importlib.metadata
import json
import pathlib
import sys

import jinja2.ext
import jinja2.nodes
import jinja2.sandbox

if tuple(map(int, importlib.metadata.version("jinja2").split(".")[:2])) < (3, 1):
    sys.exit("needs jinja2 3.1 or newer")

NOW = datetime.datetime(2026, 3, 7, 9, 5, 3)


class Generation(jinja2.ext.Extension):
    """{% generation %}: a body whose place in the text is noted."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_marked"), [], [], body).set_lineno(line)

    def _marked(self, caller):
        return "\x00" + caller() + "\x01"


def environment():
    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(
            x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
        )

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    made = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = NOW.strftime
    return made


@functools.lru_cache(maxsize=1)
def compiled(template):
    return environment().from_string(template)


def rendered(template, variables, with_error=False):
    try:
        marked = compiled(template).render(**variables)
    except Exception as error:
        return {"text": None, "error": str(error)} if with_error else {"text": None}
    text = ""
    ranges = []
    for character in marked:
        if character == "\x00":
            begin = len(text.encode("utf-16-le")) // 2
        elif character == "\x01":
            ranges.append([begin, len(text.encode("utf-16-le")) // 2])
        else:
            text += character
    return {"text": text, "generated": ranges}


TURNS = [
    {"role": "system", "content": "You help."},
    {"role": "user", "content": " What is 2 + 2? "},
    {"role": "assistant", "content": "<think>\nEasy: 4.\n</think>\n\n4 "},
    {"role": "user", "content": "Größer, \U0001f600 <b>\"it's\"</b>?"},
    {"role": "assistant", "content": "5"},
]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather.\n  Of a city & its <surroundings>.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer"},
                "units": {"enum": ["C", "F"]},
                "at": {"type": "object", "properties": {"x": {"type": "array", "items": {"type": "number"}}}},
            },
            "required": ["city"],
        },
    },
}
CALLS = [
    {"role": "user", "content": "Weather in Bern?"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"id": "abcdefghi", "type": "function", "function": {"name": "weather", "arguments": {"city": "Bern", "days": 2}}}
        ],
    },
    {"role": "tool", "content": "{\"t\": 21.5}"},
    {"role": "assistant", "content": "21.5 degrees."},
]
CONVERSATIONS = {
    "turns": {"messages": TURNS},
    "no system": {"messages": TURNS[1:], "add_generation_prompt": True},
    "one turn": {"messages": TURNS[1:2], "add_generation_prompt": True, "enable_thinking": False},
    "tools": {"messages": CALLS, "tools": [TOOL]},
    "tool result": {"messages": CALLS[:3], "tools": [TOOL, TOOL], "add_generation_prompt": True},
    "system last": {"messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]},
    "two users": {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]},
    "parts": {
        "messages": [{"role": "user", "content": [{"type": "text", "text": " one"}, {"type": "text", "text": "two "}]}]
    },
    "no content": {"messages": [{"role": "user"}]},
    "nothing": {"messages": []},
}
for conversation in CONVERSATIONS.values():
    conversation.update({"bos_token": "<s>", "eos_token": "</s>"})


def trials():
    """Conversations for templates of which it is not known what they take: each with a prompt to go on and without."""
    system, *turns = TURNS
    call, result = CALLS[1], CALLS[2]
    arguments = {"name": "weather", "arguments": json.dumps({"city": "Zürich", "days": 2})}
    as_text = {"role": "assistant", "content": None, "tool_calls": [{"id": "123456789", "type": "function", "function": arguments}]}
    two = {"role": "assistant", "content": "Two.", "tool_calls": [{**call["tool_calls"][0], "id": f"call0000{i}"} for i in range(2)]}
    named = {**result, "name": "weather", "tool_call_id": "abcdefghi"}
    thoughts = {"role": "assistant", "reasoning_content": "Easy:\n4.", "content": "4"}
    part = {"type": "text", "text": " in parts "}
    none = {"tools": None, "documents": None}
    calls = {"tools": [TOOL], "documents": None}
    made = {
        "a question": (turns[:1], none),
        "a system message": ([system, turns[0]], none),
        "turns": (turns, none),
        "a system message and turns": ([system, *turns, {"role": "user", "content": "\n\n"}], none),
        "a developer's message": ([{"role": "developer", "content": "Be short."}, turns[0]], none),
        "thoughts": ([turns[0], thoughts, turns[2], thoughts], none),
        "thoughts, not wanted": ([turns[0], thoughts, turns[2]], {**none, "enable_thinking": False, "thinking": False}),
        "parts": ([{"role": "user", "content": [part, part]}, {"role": "assistant", "content": [part]}], none),
        "empty contents": ([{"role": "system", "content": ""}, {"role": "user", "content": ""}], none),
        "no messages": ([], none),
        "an unknown role": ([turns[0], {"role": "critic", "content": "no"}], none),
        "an assistant first": ([turns[1], turns[0]], none),
        "a tool at hand": ([system, turns[0]], calls),
        "two tools at hand": (turns[:1], {"tools": [TOOL, {"type": "function", "function": {"name": "now", "parameters": {}}}]}),
        "a call": ([CALLS[0], call], calls),
        "a call by text": ([CALLS[0], as_text, named], calls),
        "a call and its result": ([system, CALLS[0], call, named, CALLS[3], turns[0]], calls),
        "two calls": ([CALLS[0], two, named, named, CALLS[3]], calls),
        "a result without tools": ([CALLS[0], call, result], none),
        "documents": (turns[:1], {"tools": None, "documents": [{"title": "Bern", "text": "A city.", "contents": "A <city>."}]}),
    }
    tokens = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    return {
        name + (", to go on" if goes_on else ""): {"messages": messages, "add_generation_prompt": goes_on, **more, **tokens}
        for name, (messages, more) in made.items()
        for goes_on in (False, True)
    }


def templates(directory):
    """By name: files *.jinja, and the chat templates of files tokenizer_config.json."""
    found = {str(path.relative_to(directory)): path.read_text() for path in sorted(directory.rglob("*.jinja"))}
    for path in sorted(directory.rglob("tokenizer_config.json")):
        given = json.loads(path.read_text()).get("chat_template") or []
        named = [{"name": "default", "template": given}] if isinstance(given, str) else given
        found |= {f"{path.relative_to(directory)}, {one['name']}": one["template"] for one in named}
    return found


VARIABLES = {
    "messages": TURNS,
    "word": "straße \U0001f600 Ab",
    "text": "  one two\n\n three  ",
    "empty": "",
    "none": None,
    "numbers": [3, 1, 2, 10],
    "reals": [0.1, 1e16, 1e-5, 123456789.125, -0.0, 2.0, 1e22, 3.0000000000000004],
    "mixed": ["b", "A", "a", "C"],
    "dict": {"b": 1, "a": [1, 2.5, None, True], "items": "hidden", "Z": {"q": "it's", "w": "\"'\n"}},
    "rows": [{"n": "x", "v": 2, "w": {"d": 1}}, {"n": "y", "v": 1}, {"n": "X", "v": 3, "w": {"d": 0}}],
    "nested": [[1, [2, []]], {"k": ["v"]}],
}

TEMPLATES = [
    # Whitespace
    "a\n  {% if true %}\n  b\n  {% endif %}\nc\n",
    "a\n  {%- if true -%}\n  b\n  {%- endif -%}\n  c",
    "a\n  {%+ if true %}\n  b\n  {%+ endif +%}\n  c",
    "  {# x #}\n b {#- y -#} c\n{#+ z +#}\nd",
    "x {{ 1 }}\n{{ 2 }}\n\n{{- 3 -}}\n\n 4",
    "  {{ 1 }}  {% if 1 %} a {% endif %}  \n\n",
    "{% raw %}\n {{ x }} {% if %}\n{% endraw %}\nb",
    "a  {%- raw -%}  {{ x }} {%- endraw -%}  b",
    "a\r\nb{% if 1 %}\r\nc{% endif %}\rd\n",
    "{% for i in [1, 2] %}\n  {{ i }}\n{% endfor %}\n\nx\n\n",
    "\n\n{% set a = 1 %}\n\n{{ a }}",
    "\t{% if 1 %}x{% endif %}\ty {% if 1 %}z{% endif %}\n",
    "{ a } {{ '}}' }} {{ '%}' }} {% set b = '%}' %}{{ b }} }} %} #}",
    "{{ {'a': {'b': 1}} }}{{ {'a': 1}['a']}}",
    # Literals
    "{{ 1 }} {{ 1_000 }} {{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 1.5 }} {{ 1e3 }} {{ 2.5E-3 }} {{ 1_0.5 }}",
    "{{ true }} {{ False }} {{ none }} {{ None }} {{ True }}",
    "{{ 'a\\n\\t\\'\\\\ \\x41 \\u00e9 \\101 \\q' }}{{ \"b'c\" }}",
    "{{ 'a' 'b' \"c\" }}{{ 'two\nlines' }}",
    "{{ [1, 'a', none, [true], (1,), (), {'k': 1.0, 2: 'x'}] }}",
    "{{ (1, 2) }} {{ 1, 2 }} {{ (1) }} {{ [1, 2,] }} {{ {'a': 1,} }}",
    "{{ reals }} {{ 1e300 * 1e10 }} {{ 7 / 2 }} {{ 6 / 2 }} {{ 0.1 + 0.2 }} {{ 100000000000000000.0 }}",
    "{{ dict }} {{ nested }}",
    "{{ ['\\x00\\x7f\\u200b\\u00a0é\\U0001f600', 'a\\'b', 'a\"b', 'a\\'\"b'] }}",
    # Operators
    "{{ 1 + 2 * 3 }} {{ (1 + 2) * 3 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }}",
    "{{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 2 ** -1 }} {{ 2 ** 0.5 }} {{ true + 1 }} {{ 3 * 'ab' }} {{ [1] * 2 }} {{ 'a' * -1 }}",
    "{{ 'a' ~ 1 ~ none ~ 1.0 ~ [1] }} {{ 'a' + 'b' }} {{ [1] + [2] }} {{ (1,) + (2,) }}",
    "{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 == 1.0 }} {{ true == 1 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ 1 != 2 }}",
    "{{ [1] == (1,) }} {{ {'a': 1} == {'a': 1.0} }} {{ none == false }} {{ 'a' == 1 }} {{ x == y }} {{ x == none }}",
    "{{ 1 in [1, 2] }} {{ 'b' in 'abc' }} {{ 'a' in {'a': 1} }} {{ 1 not in [1] }} {{ not 1 in [1] }} {{ 'x' in nothing }}",
    "{{ 1 and 2 }} {{ 0 or 'x' }} {{ '' or none }} {{ not '' }} {{ not not 3 }} {{ 1 and 0 or 3 }} {{ none and x.y }}",
    "{{ 'a' if true else 'b' }} {{ 'a' if false }}| {{ 'a' if false else 'b' if false else 'c' }} {{ ('a' if 1) ~ 'b' }}",
    "{{ -1|abs }} {{ -(2) }} {{ +3 }} {{ - -3 }} {{ 1 - -1 }} {{ -numbers[0] }}",
    "{{ 1 if 1 is odd and not 2 is odd else 0 }} {{ 3 is odd }} {{ 3 is not odd }} {{ 'a' ~ 'b' in 'ab' }}",
    "{{ 'x%sy%d%%' % ('a', 3) }} {{ '%s' % 'z' }} {{ '%5.2f|%-5d|%05d|%x' % (3.14159, 42, 42, 255) }}",
    "{{ '%(a)s-%(b)s' % {'a': 1, 'b': 2} }} {{ '%s %s'|format('a', 1) }} {{ '%s' % [1] }}",
    # Subscripts
    "{{ numbers[0] }} {{ numbers[-1] }} {{ numbers[9] }}| {{ numbers[1:] }} {{ numbers[:-1] }} {{ numbers[::-1] }} {{ numbers[::2] }}",
    "{{ numbers[5:] }} {{ numbers[-2:] }} {{ numbers[3:1:-1] }} {{ numbers[:] }} {{ numbers[-9:9] }} {{ (1, 2, 3)[1:] }}",
    "{{ word[0] }} {{ word[-1] }} {{ word[7] }} {{ word[::-1] }} {{ word[6:9] }} {{ word|length }}",
    "{{ dict.b }} {{ dict['a'] }} {{ dict['items'] }} {{ dict.nope }}| {{ dict['nope'] }}| {{ dict.a.0 }} {{ dict.Z.q }}",
    "{{ none.x }}| {{ word.nope }}| {{ numbers.nope }}| {{ numbers['a'] }}|",
    "{{ rows[0].w.d }} {{ rows[0]['n'] }} {{ rows[1].w }}| {{ 'abc'[1] }} {{ messages[0]['content'][:3] }}",
    # Undefined
    "{{ x }}|{{ x is defined }}|{{ x is undefined }}|{{ x|default('d') }}|{{ none|default('d') }}|{{ ''|default('d', true) }}",
    "{% for a in x %}{{ a }}{% else %}none{% endfor %} {{ x|length }} {{ x|list }} {% if x %}1{% else %}0{% endif %}",
    "{{ dict.nope is defined }} {{ dict.b is defined }} {{ 'a' ~ x }} {{ [x] }} {{ x|string }} {{ not x }}",
    "{{ x.y }}", "{{ x['y'] }}", "{{ x + 1 }}", "{{ 'a' + x }}", "{{ x() }}", "{{ x < 1 }}", "{{ -x }}", "{{ x|tojson }}",
    "{{ dict.nope.more }}", "{{ x[1:] }}", "{{ dict.nope() }}",
    # Statements
    "{% if 0 %}a{% elif none %}b{% elif 1 %}c{% else %}d{% endif %}{% if '' %}x{% else %}y{% endif %}",
    "{% for i in numbers %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}",
    "{% for i in numbers %}{{ loop.previtem }}<{{ i }}>{{ loop.nextitem }}{{ loop.cycle('a', 'b') }}{{ loop.changed(i > 2) }}{{ loop.depth }} {% endfor %}",
    "{% for i in numbers if i > 1 %}{{ i }}/{{ loop.length }} {% else %}no{% endfor %}{% for i in numbers if i > 99 %}{% else %}no{% endfor %}",
    "{% for k, v in dict.items() %}{{ k }}={{ v }};{% endfor %}{% for k in dict %}{{ k }}{% endfor %}{% for c in 'aé\U0001f600' %}[{{ c }}]{% endfor %}",
    "{% for a, (b, c) in [(1, (2, 3)), [4, [5, 6]]] %}{{ a }}{{ b }}{{ c }} {% endfor %}{% for (a, b) in [(1, 2)] %}{{ a }}{{ b }}{% endfor %}",
    "{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}{% if i > 4 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "{% for i in range(3) %}{% for j in range(3) %}{% if j == 1 %}{% break %}{% endif %}{{ i }}{{ j }} {% endfor %}{{ loop.index }}{% endfor %}",
    "{{ range(3)|list }} {{ range(1, 4)|list }} {{ range(5, 0, -2)|list }} {{ range(0)|list }}",
    "{% set a = 1 %}{% set b, c = 2, 3 %}{% set d = a, b %}{{ a }}{{ b }}{{ c }}{{ d }}",
    "{% set a = 0 %}{% for i in range(3) %}{{ a }}{% set a = a + 1 %}{{ a }} {% endfor %}{{ a }}",
    "{% set ns = namespace(n=0, s='') %}{% for i in range(3) %}{% set ns.n = ns.n + i %}{% set ns.s = ns.s ~ i %}{% endfor %}{{ ns.n }}{{ ns.s }}{{ ns.q }}|",
    "{% set ns = namespace({'a': 1}, b=2) %}{{ ns.a }}{{ ns.b }}{% set ns.c = none %}{{ ns.c }} {{ ns['a'] }}",
    "{% if 1 %}{% set a = 5 %}{% endif %}{{ a }}{% for i in [1] %}{% set q = 1 %}{% endfor %}{{ q }}|",
    "{% set a %}\n x {{ 1 + 1 }}\n{% endset %}[{{ a }}]{% set b | upper | trim %} y {% endset %}[{{ b }}]",
    "{% set a = 1 %}{% set b %}{% set a = 2 %}{{ a }}{% endset %}{{ a }}{{ b }}",
    "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% set a = 3 %}{{ a }}{% endwith %}{{ a }}|{% with %}x{% endwith %}",
    "{% filter upper %}a {{ 'b' }}{% endfilter %}{% filter replace('a', 'b') | indent(2, true) %}a\na{% endfilter %}",
    "{% print 1 + 1 %}{% for i in [] %}x{% endfor %}",
    "{% for loop_ in [1] %}{{ loop_ }}{{ loop.index }}{% endfor %}{{ loop }}|",
    # Macros
    "{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }} {% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(1, c=5) }}{{ m(b=1, a=0) }}{{ m() }}|",
    "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}",
    "{% macro m(n) %}{{ n }}{% if n > 0 %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(3) }}",
    "{% set x = 1 %}{% macro m() %}{{ x }}{% set x = 9 %}{{ x }}{% endmacro %}{{ m() }}{{ x }}{% set x = 2 %}{{ m() }}",
    "{% macro m(a) %}<{{ caller(a) }}>{{ caller('z') }}{% endmacro %}{% call(x) m('y') %}[{{ x }}]{% endcall %}",
    "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}inner{% endcall %}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(*[1]) }}{{ m(**{'a': 2}) }}{{ m(1)|upper }}{{ m('a') ~ 'b' }}{{ m is callable }}",
    "{% macro m() %}{% endmacro %}[{{ m() }}]{{ 'x' if m() else 'y' }}",
    # Filters
    "{{ text|trim }}|{{ 'xxaxx'|trim('x') }}|{{ 'aB c'|upper }}{{ 'aB'|lower }}{{ 'hELLO wORLD'|capitalize }}|{{ \"hello wORLD-x (y it's\"|title }}",
    "{{ 'a-b-c'|replace('-', '+') }}{{ 'aaa'|replace('a', 'b', 2) }}{{ 'abc'|replace('', '.') }}{{ 1|replace(1, 2) }}",
    "{{ [1, 2]|join }}{{ [1, 'a', none]|join(', ') }}{{ rows|join('-', attribute='n') }}{{ 'abc'|join('.') }}",
    "{{ numbers|first }}{{ numbers|last }}{{ []|first }}|{{ 'abc'|first }}{{ 'abc'|list }}{{ dict|list }}{{ dict|length }}{{ numbers|count }}",
    "{{ dict|items|list }}{{ x|items|list }}{{ dict|dictsort }}{{ {'b': 1, 'A': 2}|dictsort(true) }}{{ {'b': 1, 'A': 2}|dictsort(by='value', reverse=true) }}",
    "{{ rows|map(attribute='n')|list }}{{ rows|map(attribute='w.d', default='-')|list }}{{ mixed|map('upper')|list }}{{ ['a-b']|map('replace', '-', '+')|join }}",
    "{{ numbers|select('odd')|list }}{{ numbers|reject('odd')|list }}{{ [0, 1, '']|select|list }}{{ numbers|select('gt', 2)|list }}{{ numbers|select('in', [1, 2])|list }}",
    "{{ rows|selectattr('w')|list|length }}{{ rows|selectattr('v', 'equalto', 1)|map(attribute='n')|first }}{{ rows|rejectattr('v', 'lt', 2)|list|length }}{{ rows|selectattr('w', 'defined')|list|length }}",
    "{% if rows|selectattr('v', 'equalto', 99) %}an iterator is true{% endif %}{{ (rows|selectattr('v')|list)[0].n }}",
    "{{ numbers|sort }}{{ numbers|sort(reverse=true) }}{{ mixed|sort }}{{ mixed|sort(case_sensitive=true) }}{{ (rows|sort(attribute='v'))[0].n }}{{ rows|sort(attribute='n')|map(attribute='n')|list }}",
    "{{ numbers|reverse|list }}{{ 'abc'|reverse }}{{ mixed|unique|list }}{{ mixed|unique(true)|list }}{{ rows|unique(attribute='n')|list|length }}",
    "{{ numbers|min }}{{ numbers|max }}{{ numbers|sum }}{{ rows|sum(attribute='v') }}{{ rows|sum(attribute='v', start=10) }}{{ mixed|min }}{{ []|max }}|{{ (rows|max(attribute='v')).n }}",
    "{{ [1, 2, 3]|batch(2)|list }}{{ [1, 2, 3]|batch(2, 0)|list }}{{ rows|groupby('n')|list|length }}{% for g, r in rows|groupby('n') %}{{ g }}{{ r|length }}{% endfor %}",
    "{% for g in rows|groupby('n') %}{{ g.grouper }}{{ g.list|length }}{{ g['grouper'] }}{{ g|length }}{{ g[0] }}{{ g.other is defined }}{{ g == (g[0], g[1]) }}{% endfor %}",
    "{{ rows|groupby('v')|map(attribute='list')|map('length')|list }}{{ (rows|groupby('v'))[0] }}{{ (rows|groupby('v'))[0][:1].grouper is defined }}{{ (rows|groupby('v'))|tojson }}",
    "{{ '3'|int }}{{ '3.7'|int }}{{ 'x'|int }}{{ 'x'|int(9) }}{{ 3.9|int }}{{ 'ff'|int(0, 16) }}{{ none|int }}{{ '2.5'|float }}{{ 'x'|float }}{{ 3|float }}{{ true|int }}",
    "{{ 42.55|round }}{{ 42.55|round(1) }}{{ 42.55|round(1, 'floor') }}{{ 42.51|round(0, 'ceil') }}{{ 2.5|round }}{{ 3.5|round }}{{ 42|round }} {{ 2.675|round(2) }} {{ -3|abs }}{{ -2.5|abs }}",
    "{{ 'a\nb\n\nc'|indent }}|{{ 'a\nb'|indent(2, true) }}|{{ 'a\n\nb'|indent(2, blank=true) }}|{{ 'a\nb'|indent('> ') }}",
    "{{ '<a href=\"x\">&\\'</a>'|e }} {{ '<b>'|safe }} {{ 'a b  c_d'|wordcount }} [{{ 'ab'|center(7) }}][{{ 'abc'|center(6) }}]{{ 12|string ~ 'x' }}",
    "{{ '<a>'|safe + '<b>' + 'c' }} {{ '<a>' + '<b>'|safe }} {{ '<a>'|e + '\"' }} {{ '<a>'|safe ~ '<b>' }} {{ ('<a>'|safe if 1 else '') + '<' }}",
    "{% set a = '<'|safe %}{{ a + '>' }}{{ a ~ '>' }}{{ (a or 1) + '&' }}{{ [a]|join('<') }}{{ ['<', a]|map('safe')|join('\"') }}{{ a == '<' }}{{ a|length }}",
    "{{ '<'|safe + 1 }}", "{{ 'a'|safe + none }}", "{{ 1 + '<'|safe }}",
    "{{ x.y.z if 'nope' is filter else 1 }}{% if 'nope' is filter %}{{ 1|nope }}{% endif %}{% if 0 %}{{ 1 is nope }}{% endif %}{{ 2 if 1 else 1|nope }}",
    "{{ {'a': 1}|attr('a') }}|{{ {'a': 1}|attr('items') is defined }}{{ 'a'|attr('upper') is callable }}|",
    "{{ {'b': 2, 'a': [1, 2]}|items|list }}{{ [{'a': {'0': 'x'}}, {}]|map(attribute='a.0', default='-')|list }}{{ [[1, 2], [3, 4]]|map(attribute=-1)|list }}",
    "{{ dict|attr('nope') }}|{{ ns|d('q') }}{{ 0|d('q') }}{{ 0|d('q', true) }}{{ none|d('q', boolean=true) }}",
    "{{ dict|tojson }} {{ dict|tojson(indent=2) }} {{ [[], {}, [1]]|tojson(indent=4) }} {{ (1, 'é\U0001f600</script>&\\'')|tojson }}",
    "{{ reals|tojson }} {{ {'b': 1, 'a': 2}|tojson(sort_keys=true) }} {{ [1, {'a': 2}]|tojson(separators=(',', ':')) }} {{ 'é\U0001f600'|tojson(ensure_ascii=true) }} {{ {1: none, false: 2, none: 1.0}|tojson }}",
    "{{ 'q\\\"\\\\\\n\\t\\r\\x08\\x0c\\x01\\x7f\\u2028'|tojson }} {{ numbers|tojson(indent=none) }} {{ [1]|tojson(false, 1) }}",
    # Methods
    "{{ text.strip() }}|{{ text.lstrip() }}|{{ text.rstrip() }}|{{ 'xxayx'.strip('xy') }}|{{ '\\n\\na\\n'.strip('\\n') }}|{{ 'aab'.lstrip('a') }}|{{ 'baa'.rstrip('a') }}",
    "{{ 'a,b,,c'.split(',') }}{{ text.split() }}{{ 'a b  c '.split(' ') }}{{ 'a,b,c'.split(',', 1) }}{{ 'a,b,c'.rsplit(',', 1) }}{{ ' a b  c'.split(none, 1) }}{{ ' a b c '.rsplit(maxsplit=1) }}{{ ''.split() }}{{ ''.split(',') }}",
    "{{ 'abcabc'.rsplit('bc') }}{{ 'aaa'.split('aa') }}{{ 'aaa'.rsplit('aa') }}{{ 'x</t>y'.split('</t>')[-1] }}{{ 'a\\nb\\r\\nc'.splitlines() }}{{ 'a\\nb'.splitlines(true) }}",
    "{{ 'abc'.startswith('ab') }}{{ 'abc'.startswith(('x', 'a')) }}{{ 'abc'.endswith(('x', 'bc')) }}{{ 'abc'.startswith('b', 1) }}{{ 'abc'.endswith('b', 0, 2) }}{{ 'abc'.startswith('') }}",
    "{{ 'aXbX'.replace('X', 'y') }}{{ 'aXbX'.replace('X', 'y', 1) }}{{ 'ab'.upper() }}{{ 'AB'.lower() }}{{ \"it's a dOG\".title() }}{{ 'hELLO'.capitalize() }}{{ 'aB'.swapcase() }}",
    "{{ ', '.join(['a', 'b']) }}{{ '-'.join('abc') }}{{ 'hello'.find('l') }}{{ 'hello'.rfind('l') }}{{ 'hello'.find('z') }}{{ 'hello'.index('e') }}{{ 'hello'.count('l') }}{{ '\U0001f600x'.find('x') }}{{ 'abab'.find('ab', 1) }}",
    "{{ '{} {}'.format(1, 'a') }}{{ '{1}{0}'.format('a', 'b') }}{{ '{a}'.format(a=3) }}{{ '{{}}'.format() }}{{ '{:>5}|{:<5}|{:^5}|{:05d}|{:.2f}|{:,}'.format('a', 'b', 'c', 42, 3.14159, 1234567) }}",
    "{{ '12'.isdigit() }}{{ 'a1'.isalnum() }}{{ 'ab'.isalpha() }}{{ ' '.isspace() }}{{ ''.isdigit() }}{{ 'AB'.isupper() }}{{ 'ab'.islower() }}{{ '7'.zfill(3) }}{{ '-7'.zfill(4) }}[{{ 'a'.ljust(3) }}{{ 'a'.rjust(3, '.') }}{{ 'a'.center(4, '*') }}]",
    "{{ 'pre-x'.removeprefix('pre-') }}{{ 'x.py'.removesuffix('.py') }}{{ 'a=b=c'.partition('=') }}{{ 'a=b=c'.rpartition('=') }}{{ 'abc'.partition('x') }}",
    "{{ dict.get('b') }}{{ dict.get('q') }}{{ dict.get('q', 7) }}{{ dict.keys()|list }}{{ {'a': 1}.values()|list }}{{ {'a': 1}.items()|list }}{{ numbers.index(2) }}{{ numbers.count(1) }}{{ numbers.copy() }}",
    "{{ dict.get(absent) }}{{ dict.get(dict.q, 7) }}", "{{ dict.get([1], 7) }}",
    "{{ numbers.append(1) }}", "{{ dict.update({'a': 1}) }}", "{{ dict.pop('a') }}", "{{ 'abc'.index('z') }}", "{{ numbers.index(99) }}",
    "{{ 'a'.split('') }}",
    # Tests
    "{{ 1 is number }}{{ 1.0 is number }}{{ true is number }}{{ '1' is number }}{{ 1 is integer }}{{ true is integer }}{{ 1.0 is float }}{{ true is boolean }}{{ none is none }}{{ x is none }}",
    "{{ 'a' is string }}{{ dict is mapping }}{{ numbers is mapping }}{{ numbers is iterable }}{{ 'a' is iterable }}{{ 1 is iterable }}{{ numbers is sequence }}{{ dict is sequence }}{{ x is iterable }}{{ none is iterable }}",
    "{{ 4 is divisibleby 2 }}{{ 4 is divisibleby(3) }}{{ 4 is even }}{{ 'a' is in ['a'] }}{{ 'a' is eq 'a' }}{{ 1 is equalto 1 }}{{ 1 is ne 2 }}{{ 1 is lt 2 }}{{ 2 is ge 2 }}{{ 1 is sameas 1 }}{{ true is true }}{{ 1 is true }}{{ 0 is false }}",
    "{{ 'ab' is lower }}{{ 'AB' is upper }}{{ 'upper' is filter }}{{ 'odd' is test }}{{ range is callable }}{{ 'x' is defined and 'y' }}{{ not x is defined }}{{ x is not defined or 1 }}",
    # Functions
    "{{ strftime_now('%Y-%m-%d %H:%M:%S') }} {{ strftime_now('%d %b %Y, %A %a %B %j %y %I %p %-d %e %% %F %T %D %f %u %w') }}",
    "{{ namespace(a=1).a }}{{ 'a'|upper|lower }}",
    "{{ raise_exception('no') }}", "{{ 1 / 0 }}", "{{ 1 % 0 }}", "{{ 'a' + 1 }}", "{{ [1] + 'a' }}", "{{ none|length }}", "{{ 1|length }}", "{{ 1 < 'a' }}",
    "{% for a, b in [(1, 2, 3)] %}{% endfor %}", "{% for a in 1 %}{% endfor %}", "{% set dict.a = 1 %}", "{{ 'abc'|nope }}", "{{ 1 is nope }}", "{{ 'a'.upper(1) }}", "{{ 'a'|upper(1) }}",
    "{% if %}{% endif %}", "{% if 1 %}", "{% for i in [1] %}", "{% endif %}", "{{ 1 + }}", "{{ (1 }}", "{{ [1 }}", "{{ 'a }}", "{{ 1", "{# a", "{% break %}", "{% nope %}", "{{ a b }}", "{{ }}", "{% set true = 1 %}",
    "{% raw %}a", "{{ $ }}", "{{ 1 ] }}", "{% set a %}x", "{{ range(1000000) }}", "{{ 1 in 1 }}", "{{ 1 in 'a' }}",
    # Generation
    "a{% generation %}b\U0001f600{{ 1 }}{% endgeneration %}c{% generation %}{% endgeneration %}\n {% generation %}\n d\n{% endgeneration %}\ne",
    "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}|{% endfor %}",
]


def main():
    if sys.argv[1:] == ["-"]:
        print(json.dumps([rendered(*case) for case in json.load(sys.stdin)]))
        return
    if sys.argv[1:]:
        conversations = trials()
        found = templates(pathlib.Path(sys.argv[1]))
        files = {
            name: {"template": text, "rendered": {of: rendered(text, one, True) for of, one in conversations.items()}}
            for name, text in found.items()
        }
        print(json.dumps({"conversations": conversations, "files": files}))
        return
    files = sorted(pathlib.Path(__file__).parent.glob("*.jinja"))
    expected = {
        "variables": VARIABLES,
        "features": [{"template": one, **rendered(one, VARIABLES)} for one in TEMPLATES],
        "conversations": CONVERSATIONS,
        "files": {
            path.name: {name: rendered(path.read_text(), one) for name, one in CONVERSATIONS.items()} for path in files
        },
    }
    print(json.dumps(expected, ensure_ascii=True, indent=1))


main()
