/**
 * Searches PEFT configurations by pruning, and trains them: {@link org.prunepeft.PrunePeft}.
 *
 * <p>Apache Parquet's jars share packages, so that they cannot be modules. They are read from the
 * class path; without them Parquet files alone are not.
 */
module org.prunepeft {
  requires transitive com.fasterxml.jackson.databind;
  requires transitive org.prunepeft.kernels;
  requires transitive org.bytedeco.pytorch;
  requires ai.djl.api;
  requires ai.djl.tokenizers;
  requires com.fasterxml.jackson.dataformat.csv;
  requires com.fasterxml.jackson.dataformat.yaml;
  requires com.fasterxml.jackson.datatype.jdk8;
  requires com.google.protobuf;
  requires hipparchus.core;
  requires java.xml;
  // Annotations of generated builders, for the compiler alone.
  requires static io.soabase.recordbuilder.core;
  requires static java.compiler;
  requires org.bytedeco.cuda;
  requires org.bytedeco.openblas;
  requires org.slf4j;

  uses org.prunepeft.data.Task;
  uses org.prunepeft.peft.ModuleType;
  uses org.prunepeft.search.Criterion;

  exports org.prunepeft;
  exports org.prunepeft.data;
  exports org.prunepeft.data.chat;
  exports org.prunepeft.data.table;
  exports org.prunepeft.data.task;
  exports org.prunepeft.generate;
  exports org.prunepeft.io;
  exports org.prunepeft.model;
  exports org.prunepeft.peft;
  exports org.prunepeft.report;
  exports org.prunepeft.search;
  exports org.prunepeft.search.measured;
  exports org.prunepeft.search.peer;
  exports org.prunepeft.settings;
  exports org.prunepeft.study;
  exports org.prunepeft.text;
  exports org.prunepeft.torch;
  exports org.prunepeft.train;

  // What a run's files hold, by their components.
  opens org.prunepeft to
      com.fasterxml.jackson.databind;
  opens org.prunepeft.data to
      com.fasterxml.jackson.databind;
  opens org.prunepeft.data.chat to
      com.fasterxml.jackson.databind;
  opens org.prunepeft.data.task to
      com.fasterxml.jackson.databind;
  opens org.prunepeft.files to
      com.fasterxml.jackson.databind;
  opens org.prunepeft.io to
      com.fasterxml.jackson.databind;
  opens org.prunepeft.model to
      com.fasterxml.jackson.databind;
  opens org.prunepeft.peft to
      com.fasterxml.jackson.databind;
  opens org.prunepeft.report to
      com.fasterxml.jackson.databind;
  opens org.prunepeft.run to
      com.fasterxml.jackson.databind;
  opens org.prunepeft.search to
      com.fasterxml.jackson.databind;
  opens org.prunepeft.search.measured to
      com.fasterxml.jackson.databind;
  opens org.prunepeft.search.peer to
      com.fasterxml.jackson.databind;
  opens org.prunepeft.settings to
      com.fasterxml.jackson.databind;
  opens org.prunepeft.train to
      com.fasterxml.jackson.databind;
}
