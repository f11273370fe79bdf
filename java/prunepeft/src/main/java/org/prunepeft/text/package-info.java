/**
 * Words for what is wrong, as the library's own messages have them: an unknown name with the
 * nearest known one, a value that is missing, why a file can't be read or written.
 */
package org.prunepeft.text;
