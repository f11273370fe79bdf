package org.prunepeft.settings;

import io.soabase.recordbuilder.core.RecordBuilder;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.prunepeft.data.PairEncoding;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.Task;
import org.prunepeft.data.task.DataFiles;
import org.prunepeft.data.task.Tasks;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Precision;
import org.prunepeft.model.Quantization;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.ModuleType;
import org.prunepeft.peft.ModuleTypes;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.Slices;
import org.prunepeft.text.Required;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.Threads;
import org.prunepeft.train.TrainingSettings;

/**
 * What a search and a plain training have in common.
 *
 * @param model a name in {@link org.prunepeft.model.Models}
 * @param task a name in {@link org.prunepeft.data.task.Tasks}; of own files their {@link
 *     DataFiles#name}
 * @param files own files to learn from; null: the data of the task that is named
 * @param data directory of the named task's data, such as GLUE's, not beside own files; null: it
 *     comes with the program
 * @param sizes examples for training, validation and test, 1 or more each, or as suits the task
 * @param pairEncoding how the two texts of a pair go through the encoder; a run keeps the way that
 *     it went, joint or separate
 * @param lora LoRA candidates; null: none
 * @param adapter adapter candidates; null: none
 * @param modules further types of candidates, by their names in {@link
 *     org.prunepeft.peft.ModuleTypes}; null: none
 * @param moduleSettings settings of these types, by the types' names, as {@link
 *     org.prunepeft.peft.ModuleSettings} takes them; a run keeps all that were in effect; null: the
 *     defaults
 * @param training how a training goes
 * @param epochs of the (re)training whose result is kept, 1 or more
 * @param seed of everything that is drawn but the test part
 * @param testSeed of the test part, which is so the same for every seed
 * @param precision of frozen weights and activations
 * @param quantization what the layers' frozen weights are kept in; full fine-tuning takes them
 *     dense
 * @param device where it is computed: cpu, cuda, cuda:N or auto
 * @param threads of all native pools, 1 to 1,024
 * @param output the run directory to be made; null: nothing is written
 * @param checkpoints when it writes checkpoints, and whether it goes on from one, both in the run
 *     directory; null: the default
 */
@RecordBuilder
public record Setup(
    String model,
    String task,
    DataFiles files,
    Path data,
    SplitSizes sizes,
    PairEncoding pairEncoding,
    LoraConfig lora,
    AdapterConfig adapter,
    List<String> modules,
    Map<String, Map<String, Object>> moduleSettings,
    TrainingSettings training,
    int epochs,
    long seed,
    long testSeed,
    Precision precision,
    Quantization quantization,
    String device,
    int threads,
    Path output,
    Checkpointing checkpoints)
    implements SetupBuilder.With {
  /** MiniLM on WordNet supersenses, a LoRA module and an adapter in each layer. */
  public static final Setup DEFAULT =
      SetupBuilder.builder()
          .model("minilm")
          .task("wordnet")
          .sizes(SplitSizes.UNSPECIFIED)
          .pairEncoding(PairEncoding.AUTO)
          .lora(LoraConfig.DEFAULT)
          .adapter(AdapterConfig.DEFAULT)
          .training(TrainingSettings.DEFAULT)
          .epochs(8)
          .testSeed(0)
          .precision(Precision.FLOAT32)
          .quantization(Quantization.AUTO)
          .device("cpu")
          .threads(Runtime.getRuntime().availableProcessors())
          .build();

  /**
   * @throws IllegalArgumentException if a value is out of its range
   */
  public Setup {
    task = files == null ? task : files.name();
    Required.present("model", model);
    Required.present("task", task);
    Required.present("sizes", sizes);
    Required.present("the pair encoding", pairEncoding);
    Required.present("training", training);
    Required.present("the precision", precision);
    Required.present("the quantization", quantization);
    Required.present("the device", device);
    ComputeDevice.requireName(device);
    checkpoints = checkpoints == null ? Checkpointing.DEFAULT : checkpoints;
    modules = modules == null ? List.of() : List.copyOf(modules);
    moduleSettings = copied(moduleSettings);
    if (lora == null && adapter == null && modules.isEmpty()) {
      throw new IllegalArgumentException("a supernet needs LoRA modules or adapters, got neither");
    }
    requirePart("validation", sizes.validation());
    requirePart("test", sizes.test());
    if (epochs < 1) {
      throw new IllegalArgumentException("epochs must be at least 1, got " + epochs);
    }
    Threads.require(threads);
  }

  private static Map<String, Map<String, Object>> copied(Map<String, Map<String, Object>> given) {
    Map<String, Map<String, Object>> copy = new TreeMap<>();
    if (given != null) {
      given.forEach(
          (type, own) -> copy.put(type, Collections.unmodifiableMap(new LinkedHashMap<>(own))));
    }
    return Collections.unmodifiableMap(copy);
  }

  private static void requirePart(String part, Integer size) {
    if (size != null && size < 1) {
      throw new IllegalArgumentException(
          "the %s part needs at least 1 example, got %d".formatted(part, size));
    }
  }

  /**
   * {@return what is learnt, and from which data}
   *
   * @throws IllegalArgumentException if no task has the name, or it is not read from a directory
   *     and one is named
   */
  public Task resolveTask() {
    if (files != null) {
      return files.task();
    }
    Task named = Tasks.byName(task);
    return data == null ? named : named.at(data);
  }

  /** {@return the same as a run keeps it: with absolute paths of data, and its metrics by name} */
  public Setup asRecorded() {
    return with()
        .data(data == null ? null : data.toAbsolutePath())
        .files(files == null ? null : files.asRecorded())
        .build();
  }

  /**
   * {@return the same with what suits the model: the projections that get LoRA}
   *
   * @param config of the model
   */
  public Setup on(EncoderConfig config) {
    return lora == null ? this : withLora(lora.on(config));
  }

  /** {@return the modules that the layers hold} */
  public PeftConfig peft() {
    return PeftConfig.of(lora, adapter, furtherTypes());
  }

  /** {@return the types of modules beside LoRA and adapters} */
  public List<ModuleType> furtherTypes() {
    return ModuleTypes.of(modules, moduleSettings);
  }

  /**
   * {@return the same with modules of the size that some of their slices have}
   *
   * @param slices of this setup's modules
   * @param chosen names of slices
   */
  public Setup sized(Slices slices, Collection<String> chosen) {
    Setup sized = lora == null ? this : withLora(slices.lora(lora, chosen));
    return adapter == null ? sized : sized.withAdapter(slices.adapter(adapter, chosen));
  }

  /**
   * {@return how an earlier run was set up; its modules have the sizes that they had before any
   * were made smaller}
   *
   * @param run the directory of a run that is complete, or at least has chosen its modules
   * @throws RunDirectoryException if it is absent, incomplete or damaged
   */
  public static Setup ofRun(Path run) {
    return of(Manifest.openChosen(run));
  }

  /** The same of one that was checked, in the sizes that it chose. */
  static Setup sized(RunDirectory run) {
    return of(run)
        .sizedBy(run.readJson(RunFiles.CONFIGURATION), run.file(RunFiles.CONFIGURATION).toString());
  }

  static Setup of(RunDirectory run) {
    return run.readJson(RunFiles.CONFIG, "setup", Setup.class);
  }

  /**
   * {@return the same with modules in the sizes that a run chose for them}
   *
   * @param directory of a run of this setup, which has chosen its modules
   * @throws RunDirectoryException if the file that says it can't be read or is damaged
   * @throws org.prunepeft.io.DamagedRunException if the run is complete, and the file was changed
   *     or is gone since
   */
  public Setup sizedAs(Path directory) {
    RunDirectory run = Manifest.look(directory, Set.of(RunFiles.CONFIGURATION));
    return sizedBy(
        run.readJson(RunFiles.CONFIGURATION), run.file(RunFiles.CONFIGURATION).toString());
  }

  /**
   * {@return the same of what a run's {@code configuration.json} says}
   *
   * @param chosen its members
   * @param file its name, for the message
   * @throws RunDirectoryException if these are none
   */
  public Setup sizedBy(Map<String, Object> chosen, String file) {
    try {
      return with()
          .lora(RunDirectory.convert(chosen.get("lora"), LoraConfig.class))
          .adapter(RunDirectory.convert(chosen.get("adapter"), AdapterConfig.class))
          .build();
    } catch (IllegalArgumentException e) {
      throw new RunDirectoryException(
          "%s, lora and adapter: %s".formatted(file, e.getMessage()), e);
    }
  }

  /** {@return a builder that begins with the defaults} */
  public static SetupBuilder builder() {
    return SetupBuilder.builder(DEFAULT);
  }
}
