/** The command line: parsing, printing and exit codes. */
module org.prunepeft.cli {
  requires com.fasterxml.jackson.databind;
  requires com.fasterxml.jackson.dataformat.yaml;
  requires info.picocli;
  requires jdk.management;
  requires me.tongfei.progressbar;
  requires org.prunepeft;

  opens org.prunepeft.cli to
      info.picocli;
}
