// Package attacks holds no code, only tests: each row of their table is an attack
// on an install, by its name. A real client meets a real repository over HTTP,
// in which the attacker has changed what they can: the mirror, the release key,
// the cache of the client, its clock.
//
// Every row says which typed error the client gives, and wants the tree as it was
// and, once the attack is over, the update to go through.
package attacks
