/**
 * Jinja as chat templates use it: a {@link org.prunepeft.template.Template} is parsed once and
 * rendered with variables to a {@link org.prunepeft.template.Rendering}. Blocks are trimmed ({@code
 * trim_blocks}, {@code lstrip_blocks}), nothing is escaped as HTML, values are Python's, and {@code
 * raise_exception}, {@code strftime_now} and {@code {% generation %}} are there. A template reads
 * no files, changes nothing that it is given, and ends: work, lengths and depth are bounded ({@link
 * org.prunepeft.template.Limits}).
 */
package org.prunepeft.template;
