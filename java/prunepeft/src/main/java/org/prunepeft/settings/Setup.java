package org.prunepeft.settings;

import java.nio.file.Path;
import java.util.List;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.Task;
import org.prunepeft.data.task.DataFiles;
import org.prunepeft.data.task.Tasks;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.model.Precision;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.train.TrainingSettings;

/**
 * What a search and a plain training have in common.
 *
 * @param model a name in {@link org.prunepeft.model.Models}
 * @param task a name in {@link org.prunepeft.data.task.Tasks}; of own files their {@link
 *     DataFiles#name}
 * @param files own files to learn from; null: the data of the task that is named
 * @param data directory of the named task's data, such as GLUE's; null: it comes with the program
 * @param sizes examples for training, validation and test, 1 or more each, or as suits the task
 * @param lora LoRA candidates; null: none
 * @param adapter adapter candidates; null: none
 * @param modules further types of candidates, by their names in {@link
 *     org.prunepeft.peft.ModuleTypes}; null: none
 * @param training how a training goes
 * @param epochs of the (re)training whose result is kept, 1 or more
 * @param seed of everything that is drawn
 * @param precision of frozen weights and activations; null: float32
 * @param device where it is computed: cpu, cuda, cuda:N or auto; null: cpu
 * @param threads of all native pools, 1 or more
 * @param output the run directory to be made; null: nothing is written
 */
public record Setup(
    String model,
    String task,
    DataFiles files,
    Path data,
    SplitSizes sizes,
    LoraConfig lora,
    AdapterConfig adapter,
    List<String> modules,
    TrainingSettings training,
    int epochs,
    long seed,
    Precision precision,
    String device,
    int threads,
    Path output) {
  /** MiniLM on WordNet supersenses, a LoRA module and an adapter in each layer. */
  public static final Setup DEFAULT = builder().build();

  /**
   * @param model a name in {@link org.prunepeft.model.Models}
   * @param task a name in {@link org.prunepeft.data.task.Tasks}; of own files their {@link
   *     DataFiles#name}
   * @param files own files to learn from; null: the data of the task that is named
   * @param data directory of the named task's data, such as GLUE's; null: it comes with the program
   * @param sizes examples for training, validation and test, 1 or more each, or as suits the task
   * @param lora LoRA candidates; null: none
   * @param adapter adapter candidates; null: none
   * @param modules further types of candidates, by their names in {@link
   *     org.prunepeft.peft.ModuleTypes}; null: none
   * @param training how a training goes
   * @param epochs of the (re)training whose result is kept, 1 or more
   * @param seed of everything that is drawn
   * @param precision of frozen weights and activations; null: float32
   * @param device where it is computed: cpu, cuda, cuda:N or auto; null: cpu
   * @param threads of all native pools, 1 or more
   * @param output the run directory to be made; null: nothing is written
   * @throws IllegalArgumentException if a value is out of its range
   */
  public Setup {
    // Runs of before there was a choice.
    precision = precision == null ? Precision.FLOAT32 : precision;
    device = device == null ? "cpu" : device;
    ComputeDevice.requireName(device);
    modules = modules == null ? List.of() : List.copyOf(modules);
    if (lora == null && adapter == null && modules.isEmpty()) {
      throw new IllegalArgumentException("a supernet needs LoRA modules or adapters, got neither");
    }
    requirePart("validation", sizes.validation());
    requirePart("test", sizes.test());
    if (epochs < 1) {
      throw new IllegalArgumentException("epochs must be at least 1, got " + epochs);
    }
    if (threads < 1) {
      throw new IllegalArgumentException("threads must be at least 1, got " + threads);
    }
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

  /**
   * {@return how an earlier run was set up}
   *
   * @param run the directory of a complete run
   * @throws org.prunepeft.io.RunDirectoryException if it is absent, incomplete or damaged
   */
  public static Setup ofRun(Path run) {
    return RunDirectory.open(run).readJson(RunFiles.CONFIG, "setup", Setup.class);
  }

  /**
   * Begins with the defaults.
   *
   * @return a new builder
   */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * Begins with these settings.
   *
   * @return a new builder
   */
  public Builder toBuilder() {
    Builder builder = new Builder();
    builder.model = model;
    builder.task = task;
    builder.files = files;
    builder.data = data;
    builder.sizes = sizes;
    builder.lora = lora;
    builder.adapter = adapter;
    builder.modules = modules;
    builder.training = training;
    builder.epochs = epochs;
    builder.seed = seed;
    builder.precision = precision;
    builder.device = device;
    builder.threads = threads;
    builder.output = output;
    return builder;
  }

  /** Puts a setup together; its values are described at {@link Setup}. */
  public static final class Builder {
    private String model = "minilm";
    private String task = "wordnet";
    private DataFiles files;
    private Path data;
    private SplitSizes sizes = SplitSizes.UNSPECIFIED;
    private LoraConfig lora = LoraConfig.DEFAULT;
    private AdapterConfig adapter = AdapterConfig.DEFAULT;
    private List<String> modules = List.of();
    private TrainingSettings training = TrainingSettings.DEFAULT;
    private int epochs = 8;
    private long seed;
    private Precision precision = Precision.FLOAT32;
    private String device = "cpu";
    private int threads = Runtime.getRuntime().availableProcessors();
    private Path output;

    private Builder() {}

    /**
     * @param value a name in {@link org.prunepeft.model.Models}
     * @return this
     */
    public Builder model(String value) {
      model = value;
      return this;
    }

    /**
     * @param value a name in {@link org.prunepeft.data.task.Tasks}; of own files their {@link
     *     DataFiles#name}
     * @return this
     */
    public Builder task(String value) {
      task = value;
      return this;
    }

    /**
     * Own files; the task is then called after them.
     *
     * @param value null: the data of the task that is named
     * @return this
     */
    public Builder files(DataFiles value) {
      files = value;
      task = value == null ? task : value.name();
      return this;
    }

    /**
     * @param value directory of the named task's data, such as GLUE's; null: it comes with the
     *     program
     * @return this
     */
    public Builder data(Path value) {
      data = value;
      return this;
    }

    /**
     * @param value examples for training, validation and test, 1 or more each, or as suits the task
     * @return this
     */
    public Builder sizes(SplitSizes value) {
      sizes = value;
      return this;
    }

    /**
     * @param value LoRA candidates; null: none
     * @return this
     */
    public Builder lora(LoraConfig value) {
      lora = value;
      return this;
    }

    /**
     * @param value adapter candidates; null: none
     * @return this
     */
    public Builder adapter(AdapterConfig value) {
      adapter = value;
      return this;
    }

    /**
     * @param value further types of candidates, by their names in {@link
     *     org.prunepeft.peft.ModuleTypes}; null: none
     * @return this
     */
    public Builder modules(List<String> value) {
      modules = value;
      return this;
    }

    /**
     * @param value how a training goes
     * @return this
     */
    public Builder training(TrainingSettings value) {
      training = value;
      return this;
    }

    /**
     * @param value of the (re)training whose result is kept, 1 or more
     * @return this
     */
    public Builder epochs(int value) {
      epochs = value;
      return this;
    }

    /**
     * @param value of everything that is drawn
     * @return this
     */
    public Builder seed(long value) {
      seed = value;
      return this;
    }

    /**
     * @param value of frozen weights and activations; null: float32
     * @return this
     */
    public Builder precision(Precision value) {
      precision = value;
      return this;
    }

    /**
     * @param value where it is computed: cpu, cuda, cuda:N or auto; null: cpu
     * @return this
     */
    public Builder device(String value) {
      device = value;
      return this;
    }

    /**
     * @param value of all native pools, 1 or more
     * @return this
     */
    public Builder threads(int value) {
      threads = value;
      return this;
    }

    /**
     * @param value the run directory to be made; null: nothing is written
     * @return this
     */
    public Builder output(Path value) {
      output = value;
      return this;
    }

    /**
     * @return the setup
     * @throws IllegalArgumentException if a value is out of its range
     */
    public Setup build() {
      return new Setup(
          model, task, files, data, sizes, lora, adapter, modules, training, epochs, seed,
          precision, device, threads, output);
    }
  }
}
