package org.prunepeft.data.task;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import javax.xml.stream.XMLInputFactory;
import javax.xml.stream.XMLStreamConstants;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.XMLStreamReader;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Dataset;
import org.prunepeft.data.Example;
import org.prunepeft.data.Metric;
import org.prunepeft.data.Schema;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.Task;
import org.prunepeft.data.sampling.GroupedPool;
import org.prunepeft.data.sampling.Shuffle;
import org.prunepeft.io.AssetException;
import org.prunepeft.io.Assets;

/**
 * Whether an English sentence is acceptable: the examples of LanguageTool's rules.
 *
 * <p>The data is {@code grammar.xml} (format: <a
 * href="https://dev.languagetool.org/development-overview">LanguageTool's development
 * overview</a>): a rule, or a group of them under one name, has examples with a correction, which
 * are unacceptable, and without, which are acceptable. Left out are examples that a rule is wrong
 * about ({@code type="triggers_error"}), and the categories of rules about capitals, proper nouns
 * and typography, which a model of lower-case words cannot see.
 *
 * <p>Of sentences that differ in nothing but capitals, spaces and punctuation the first stays; if
 * they disagree, none.
 *
 * <p>The examples of a rule often differ in a word or two. So the parts share no rule: the test
 * part is drawn first, then validation, then train; with more or fewer examples to train on, the
 * other two stay as they are. All have the same share of either class and are in random order.
 */
public final class Acceptability implements Task {
  private static final String RESOURCE = "org/languagetool/rules/en/grammar.xml";

  /** By their numbers, as CoLA has them. */
  private static final List<String> LABELS = List.of("unacceptable", "acceptable");

  private static final Set<String> OTHER_CATEGORIES =
      Set.of("CASING", "PROPER_NOUNS", "TYPOGRAPHY");

  private static final Pattern NOT_IN_WORDS = Pattern.compile("[^\\p{L}\\p{N}]+");

  private static final Pattern SPACES = Pattern.compile("\\s+");

  private final String resource;
  private final Supplier<InputStream> content;

  /** The task. Data is read by {@link #load}. */
  public Acceptability() {
    this(RESOURCE);
  }

  Acceptability(String resource) {
    this(resource, () -> Assets.open(resource, "the task's data"));
  }

  /**
   * @param resource what messages call it
   * @param content opens it
   */
  Acceptability(String resource, Supplier<InputStream> content) {
    this.resource = resource;
    this.content = content;
  }

  @Override
  public String name() {
    return "acceptability";
  }

  @Override
  public String description() {
    return "whether an English sentence is acceptable; the parts share no rule of grammar";
  }

  @Override
  public String source() {
    return "LanguageTool 6.8 by Daniel Naber, Marcin Miłkowski and contributors, the rules'"
        + " examples in grammar.xml, from org.languagetool:language-en:6.8";
  }

  @Override
  public String licence() {
    return "LGPL-2.1 or newer";
  }

  @Override
  public List<Metric> metrics() {
    return List.of(Metric.MATTHEWS_CORRELATION, Metric.ACCURACY);
  }

  @Override
  public List<Path> files() {
    return Assets.file(resource).stream().toList();
  }

  @Override
  public Dataset load(SplitSizes requested, long seed, long testSeed) {
    SplitSizes sizes = requested.orElse(SplitSizes.DEFAULT);
    GroupedPool pool = new GroupedPool(sentences());
    List<Example> test = draw(pool, "test", sizes.test(), Shuffle.mixed(testSeed, 0));
    List<Example> validation = draw(pool, "validation", sizes.validation(), Shuffle.mixed(seed, 1));
    List<Example> train =
        pool.draw(Math.min(sizes.train(), pool.available()), Shuffle.mixed(seed, 2));
    return new Dataset(name(), Schema.of(this, LABELS), train, validation, test);
  }

  private List<Example> draw(GroupedPool pool, String part, int n, long seed) {
    int available = pool.available();
    if (n > available) {
      throw new IllegalArgumentException(
          "task %s has %d %s examples of rules that no other part has, but %d are asked for"
              .formatted(name(), available, part, n));
    }
    return pool.draw(n, seed);
  }

  /** All examples by rule, in the file's order. */
  Map<String, List<Example>> sentences() {
    List<Sentence> read = read();
    Map<String, Sentence> first = new HashMap<>();
    Set<String> disagreeing = new HashSet<>();
    for (Sentence sentence : read) {
      Sentence earlier = first.putIfAbsent(sentence.words(), sentence);
      if (earlier != null && earlier.acceptable() != sentence.acceptable()) {
        disagreeing.add(sentence.words());
      }
    }
    Map<String, List<Example>> byRule = new LinkedHashMap<>();
    for (Sentence sentence : read) {
      if (first.get(sentence.words()) == sentence && !disagreeing.contains(sentence.words())) {
        byRule
            .computeIfAbsent(sentence.rule(), rule -> new ArrayList<>())
            .add(new Example(sentence.text(), null, sentence.acceptable() ? 1 : 0));
      }
    }
    return byRule;
  }

  private List<Sentence> read() {
    List<Sentence> sentences;
    try (InputStream stream = content.get()) {
      XMLStreamReader xml = factory().createXMLStreamReader(stream);
      sentences = new XmlWalk(xml).sentences();
    } catch (AssetException e) {
      throw new DataException("%s; %s".formatted(e.getMessage(), remedy()), e);
    } catch (IOException e) {
      throw new DataException("%s cannot be read: %s; %s".formatted(resource, e, remedy()), e);
    } catch (XMLStreamException e) {
      throw new DataException(
          "%s is damaged: line %d is not understood as XML; %s"
              .formatted(
                  resource,
                  e.getLocation() == null ? 1 : e.getLocation().getLineNumber(),
                  remedy()),
          e);
    }
    for (boolean acceptable : new boolean[] {false, true}) {
      if (sentences.stream().noneMatch(sentence -> sentence.acceptable() == acceptable)) {
        throw new DataException(
            "%s is damaged: it has no %s sentence; %s"
                .formatted(resource, LABELS.get(acceptable ? 1 : 0), remedy()));
      }
    }
    return sentences;
  }

  private static XMLInputFactory factory() {
    XMLInputFactory factory = XMLInputFactory.newDefaultFactory();
    factory.setProperty(XMLInputFactory.IS_SUPPORTING_EXTERNAL_ENTITIES, false);
    // What a DOCTYPE names, a file or an address, is opened all the same.
    factory.setXMLResolver((id, name, base, namespace) -> new ByteArrayInputStream(new byte[0]));
    // Patterns of the rules are made of entities; sentences have none, and only they are read.
    factory.setProperty(XMLInputFactory.IS_REPLACING_ENTITY_REFERENCES, false);
    return factory;
  }

  private static String remedy() {
    return "put org.languagetool:language-en:6.8 from Maven Central on the class path, whole";
  }

  /**
   * An example.
   *
   * @param words the text without what does not count as a difference
   */
  private record Sentence(String rule, String text, String words, boolean acceptable) {
    Sentence(String rule, String text, boolean acceptable) {
      this(rule, text, words(text), acceptable);
    }

    private static String words(String text) {
      return NOT_IN_WORDS.matcher(text.toLowerCase(Locale.ROOT)).replaceAll(" ").strip();
    }
  }

  /** Walks through the file once. */
  private static final class XmlWalk {
    private final XMLStreamReader xml;
    private final List<Sentence> sentences = new ArrayList<>();

    /** Names of the rule and the group that the walk is in; the outermost counts. */
    private final Deque<String> rules = new ArrayDeque<>();

    private boolean wanted = true;

    XmlWalk(XMLStreamReader xml) {
      this.xml = xml;
    }

    List<Sentence> sentences() throws XMLStreamException {
      while (xml.hasNext()) {
        int event = xml.next();
        if (event == XMLStreamConstants.START_ELEMENT) {
          begin(xml.getLocalName());
        } else if (event == XMLStreamConstants.END_ELEMENT && isRule(xml.getLocalName())) {
          rules.removeLast();
        }
      }
      return sentences;
    }

    private void begin(String element) throws XMLStreamException {
      if (element.equals("category")) {
        String id = xml.getAttributeValue(null, "id");
        wanted = id == null || !OTHER_CATEGORIES.contains(id);
      } else if (isRule(element)) {
        String id = xml.getAttributeValue(null, "id");
        rules.addLast(id == null ? "" : id);
      } else if (element.equals("example")) {
        boolean acceptable = xml.getAttributeValue(null, "correction") == null;
        boolean disputed = xml.getAttributeValue(null, "type") != null;
        String text = text();
        if (wanted && !disputed && !text.isEmpty() && !rules.isEmpty()) {
          sentences.add(new Sentence(rules.getFirst(), text, acceptable));
        }
      }
    }

    private static boolean isRule(String element) {
      return element.equals("rule") || element.equals("rulegroup");
    }

    /** The text of the element that just began, that of elements in it included. */
    private String text() throws XMLStreamException {
      StringBuilder text = new StringBuilder();
      int depth = 1;
      while (depth > 0) {
        switch (xml.next()) {
          case XMLStreamConstants.START_ELEMENT -> depth++;
          case XMLStreamConstants.END_ELEMENT -> depth--;
          case XMLStreamConstants.CHARACTERS,
              XMLStreamConstants.CDATA,
              XMLStreamConstants.ENTITY_REFERENCE ->
              text.append(xml.getText());
          default -> {
            // Comments and processing instructions are no text.
          }
        }
      }
      return SPACES.matcher(text).replaceAll(" ").strip();
    }
  }
}
