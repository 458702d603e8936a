package graph

// InTurns is how work in the background takes turns.
var InTurns = (*Store).inTurns
