package org.prunepeft.template;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.time.Duration;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.testing.ProcessorTime;

class TemplateTest {
  /** Sound templates take some seconds; a slow machine's may take several times as long. */
  private static final Duration MOST = Duration.ofMinutes(2);

  private static String rendered(String template, Map<String, ?> variables) {
    return Template.parse(template).render(variables, LocalDateTime.of(2026, 3, 7, 9, 5)).text();
  }

  private static TemplateException refusal(String template) {
    return assertThrows(TemplateException.class, () -> rendered(template, Map.of()));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '§',
      value = {
        "a\\n{{ x.y }}§ template line 2: 'x' is undefined",
        "{{ {}.y.z }}§ template line 1: a dict has no member 'y'",
        "{{ [1][3].z }}§ template line 1: a list of 1 has no element 3",
        "{% if 1 %}\\n\\n{{ 1 + 'a' }}{% endif %}§ template line 3: an integer + a string can't be computed; ~ joins values as texts",
        "\\n{{ raise_exception('no system') }}§ template line 2: the template says: no system",
        "{% for i in [1] %}\\n§ template line 1: for has no {% endfor %}",
        "{% endfor %}§ template line 1: {% endfor %} closes nothing",
        "{% include 'a' %}§ template line 1: {% include %} is not supported: a chat template is one file",
        "{{ 'a'|uper }}§ template line 1: there is no filter 'uper'",
        "{{ 'a'|replace('a') }}§ template line 1: replace needs 'new'",
        "{{ 'a'|trim(x=1) }}§ template line 1: trim takes value, chars; got 'x'",
        "{{ [1].append(2) }}§ template line 1: append: a template changes no lists and dicts; old + [value] makes a new list",
        "{% for i in range(2) recursive %}{% endfor %}§ template line 1: recursive loops are not supported; use a macro",
        "{{ 99999999999999999999 }}§ template line 1: 99999999999999999999 has more than 64 bits",
        "{{ {}[1].z }}§ template line 1: a dict has no element 1",
      })
  void errorsNameLineAndReason(String template, String message) {
    assertEquals(message, refusal(template.replace("\\n", "\n")).getMessage());
  }

  /** Each would run, grow or call itself without end. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% set n = namespace(s='ab') %}{% for i in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}",
        "{% set n = namespace(s='ab') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
        "{% set n = namespace(s='ab') %}{% for i in range(99) %}{% set n.s = n.s|replace('a', n.s) %}{% endfor %}",
        "{% set n = namespace(s=[1]) %}{% for i in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}",
        "{% set n = namespace(s=[1]) %}{% for i in range(99) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s }}",
        "{% set n = namespace(a=[1], b=[1]) %}{% for i in range(99) %}{% set n.a = [n.a, n.a] %}{% set n.b = [n.b, n.b] %}{% endfor %}{{ n.a == n.b }}",
        "{% set n = namespace(s=[1]) %}{% for i in range(9999) %}{% set n.s = [n.s] %}{% endfor %}{{ n.s|tojson }}",
        "{% set n = namespace() %}{% set n.n = n %}{{ n }}",
        "{{ 'ab' * 99999999999 }}",
        "{{ '%999999999d' % 1 }}",
        "{{ 'a'|center(999999999999) }}",
        "{{ '{:>999999}'.format(1) * 99 }}",
        "{{ [1]|tojson(indent=999999999999) }}",
        "{{ 2 ** 99999999999 }}",
        // Work that is more than what comes of it.
        "{% set a = 'a' * 2000000 %}{% set b = 'a' * 1000000 ~ 'b' %}{{ b in a }}",
        "{% set a = 'a' * 2000000 %}{% set b = 'a' * 1000000 ~ 'b' %}{{ a.rfind(b) }}",
        "{% set a = 'a' * 2000000 %}{% set b = 'a' * 1000000 ~ 'b' %}{{ a.count(b) ~ a.find(b) }}",
        "{% set a = 'a' * 2000000 %}{% set b = 'a' * 1000000 ~ 'b' %}{{ a.replace(b, '') }}",
        "{% set a = 'a' * 2000000 %}{% set b = 'a' * 1000000 ~ 'b' %}{{ a.split(b) ~ a.partition(b) }}",
        "{% set a = 'a' * 9999999 %}{% for i in range(99999) %}{% set b = [a]|map(attribute=9999998)|list %}{% endfor %}",
        "{% set a = 'a' * 9999999 %}{% for i in range(99999) %}{% set b = {}[a] %}{% endfor %}",
        "{% set a = 'a' * 9999999 %}{% for i in range(99999) %}{{ a.startswith(('b' ~ a, 'c')) }}{% endfor %}",
        "{% set a = range(99999)|list %}{% for i in a %}{% set b = {}[a] %}{% endfor %}",
        "{% set p = 'a.' * 999999 %}{% for i in range(99999) %}{% set a = [{}]|map(attribute=p, default={})|list %}{% endfor %}",
        "{% set d = dict(range(99999)|map('string')|batch(2, '')|list) %}{% for i in range(99999) %}{% set e = d.copy() %}{% endfor %}",
        "{% set d = dict(range(99999)|map('string')|batch(2, '')|list) %}{% for i in range(99999) %}{% set e = d.keys() %}{% endfor %}",
        "{% set d = dict(range(99999)|map('string')|batch(2, '')|list) %}{% for i in range(99999) %}{% set e = dict(d) %}{% endfor %}",
        "{% set d = dict(range(99999)|map('string')|batch(2, '')|list) %}{% for i in range(99999) %}{% set e = dict(**d) %}{% endfor %}",
        "{% set a = 'A' * 999999 %}{% set l = [a] * 9999 %}{% for i in range(99) %}{% set b = l|sort %}{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% set a = 5e-324|string %}{% endfor %}{% endfor %}",
        "{% for i in range(99) %}{% set a = '%.999999f' % 0.1 %}{% endfor %}",
        "{% set f = '%c' * 1000000 %}{% for i in range(99) %}{% set a = strftime_now(f) %}{% endfor %}",
        "{{ range(9223372036854775806, 9223372036854775807, 5)|list ~ [1][::9223372036854775807] ~ 1 // 0 }}",
      })
  void noTemplateRunsForEver(String template) throws Exception {
    ProcessorTime.atMost(MOST, () -> refusal(template));
  }

  @ParameterizedTest
  @CsvSource({
    "(, )",
    "[, ]",
    "{1:, }",
    "-, ''",
    "'not ', ''",
    "x[, ]",
    "f(, )",
    "'1 if 1 else ', ''",
    "x is eq [, ]",
    "x|d(, )"
  })
  void deepExpressionsAreRefused(String open, String close) {
    String deep = open.repeat(9999) + "1" + close.repeat(9999);
    String message = refusal("{{ " + deep + " }}").getMessage();
    assertTrue(message.contains("inside each other"), message);
  }

  @ParameterizedTest
  @ValueSource(strings = {" + 1", "|abs", ".a", " and 1", " is odd", "[0]", "()"})
  void longChainsAreRefused(String part) {
    assertThrows(
        TemplateException.class, () -> rendered("{{ 1" + part.repeat(100_000) + " }}", Map.of()));
  }

  /** None takes more steps than characters. */
  @Test
  void longNumbersAreRead() throws Exception {
    String digits = "9".repeat(1_000_000);
    ProcessorTime.atMost(
        MOST,
        () -> {
          assertEquals("0", rendered("{{ (n ~ 'x')|int }}", Map.of("n", digits)));
          assertEquals("0.0", rendered("{{ (n ~ '.' ~ n ~ 'x')|float }}", Map.of("n", digits)));
          for (String number :
              List.of(digits, "1_".repeat(1_000_000) + 1, "0x" + "_f".repeat(1_000_000))) {
            String message = refusal("{{ " + number + " }}").getMessage();
            assertTrue(message.contains(number.substring(0, 100)), message);
            assertTrue(message.length() < 2000, message);
          }
          return null;
        });
  }

  @Test
  void numbersHaveOneOrder() {
    List<Object> numbers = new ArrayList<>();
    for (int i = 0; i < 50; i++) {
      numbers.addAll(List.of((1L << 53) + 1, (double) (1L << 53), 1L << 53));
    }
    assertTrue(
        rendered("{{ l|sort|join(' ') }}", Map.of("l", numbers)).endsWith(" 9007199254740993"));
  }

  @Test
  void deepBlocksAreRefused() {
    refusal("{% if 1 %}".repeat(100_000));
    refusal("{% for " + "(".repeat(100_000) + "a in b %}{% endfor %}");
    List<Object> deep = new ArrayList<>();
    for (int i = 0; i < 100_000; i++) {
      deep = new ArrayList<>(List.of(deep));
    }
    Map<String, ?> variables = Map.of("deep", deep);
    assertThrows(TemplateException.class, () -> rendered("{{ deep }}", variables));
  }

  @Test
  void numbersOfAllKindsAreTaken() {
    Map<String, Object> variables = new HashMap<>();
    variables.put("a", 1);
    variables.put("b", 2.5f);
    variables.put("c", new BigDecimal("1.10"));
    variables.put("d", BigInteger.TEN);
    variables.put("e", null);
    assertEquals(
        "1 2.5 1.1 10 None", rendered("{{ a }} {{ b }} {{ c }} {{ d }} {{ e }}", variables));
  }

  @Test
  void whatIsGivenIsNotChanged() {
    List<Object> list = new ArrayList<>(List.of("b", "a"));
    rendered("{{ l|sort }}{{ l|reverse|list }}{% set l = l + [1] %}", Map.of("l", list));
    assertEquals(List.of("b", "a"), list);
  }
}
