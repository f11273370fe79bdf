/** Programs that see no more of the library than it exports. */
module org.prunepeft.examples {
  requires jdk.httpserver;
  requires org.prunepeft;
}
