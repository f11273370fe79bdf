/** Programs that see no more of the library than it exports. */
module org.prunepeft.examples {
  requires jdk.httpserver;
  requires org.prunepeft;

  // Settings of the module type, a record.
  opens org.prunepeft.examples to
      org.prunepeft;
}
