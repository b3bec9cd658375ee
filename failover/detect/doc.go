// Package detect tells from what the probes, the standbys and the clients' own connections show what is the matter
// with a primary, and says by which signs. No verdict rests on one sign.
package detect
