/**
 * Words, tables and quantities for a reader. Messages name an unknown name with the nearest known
 * one, a value that is missing, why a file can't be read or written.
 */
package org.prunepeft.text;
