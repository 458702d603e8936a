package unit

import (
	"fmt"
	"maps"
	"math/big"
	"strconv"
	"strings"
	"sync"
)

// The bounds of a code: with them a factor stays a number of some thousand
// digits at worst.
const (
	maxLength   = 64
	maxExponent = 9
	maxDepth    = 8
	maxKept     = 4096
)

// Unit is a unit of measure. It is never changed and safe for concurrent use.
type Unit struct {
	code string
	// factor is how many of the base units it is, each to a power.
	factor *big.Rat
	powers map[string]int
	// offset is where its zero is, in units of its own above that of the base
	// units; nil for most.
	offset *big.Rat
}

// Code is the UCUM code.
func (u *Unit) Code() string { return u.code }

// kept are units that were parsed before: devices send few, again and again.
var kept struct {
	sync.RWMutex
	units map[string]*Unit
}

// Parse reads a UCUM code, or what people commonly write for one.
func Parse(text string) (*Unit, error) {
	kept.RLock()
	u := kept.units[text]
	kept.RUnlock()
	if u != nil {
		return u, nil
	}
	u, err := parse(Alias(text))
	if err != nil {
		return nil, err
	}
	kept.Lock()
	defer kept.Unlock()
	if kept.units == nil || len(kept.units) >= maxKept {
		kept.units = map[string]*Unit{}
	}
	kept.units[strings.Clone(text)] = u
	return u, nil
}

func parse(code string) (*Unit, error) {
	if code == "" || len(code) > maxLength {
		return nil, fmt.Errorf("a unit is a UCUM code of 1 to %d characters", maxLength)
	}
	p := &parser{text: code}
	u, err := p.term(0)
	if err == nil && p.at < len(code) {
		err = p.wrong("%q is not expected", code[p.at:])
	}
	if err != nil {
		return nil, err
	}
	out := *u
	out.code = code
	return &out, nil
}

// one is the unit of plain numbers.
func one() *Unit { return &Unit{factor: big.NewRat(1, 1), powers: map[string]int{}} }

// parser reads UCUM's grammar: terms of components that are multiplied (.) and
// divided (/) from left to right.
type parser struct {
	text string
	at   int
}

func (p *parser) wrong(format string, args ...any) error {
	return fmt.Errorf("%q is not a UCUM code: %s", p.text, fmt.Sprintf(format, args...))
}

func (p *parser) next() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *parser) term(depth int) (*Unit, error) {
	if depth > maxDepth {
		return nil, p.wrong("brackets are nested too deeply")
	}
	out, divide, first := one(), false, true
	if p.next() == '/' {
		p.at++
		divide = true
	}
	for {
		part, err := p.component(depth)
		if err != nil {
			return nil, err
		}
		if first && !divide && p.next() != '.' && p.next() != '/' {
			return part, nil
		}
		exponent := 1
		if divide {
			exponent = -1
		}
		if out, err = p.times(out, part, exponent); err != nil {
			return nil, err
		}
		first = false
		switch p.next() {
		case '.':
			divide = false
		case '/':
			divide = true
		default:
			return out, nil
		}
		p.at++
	}
}

// component reads one part, with its exponent and annotation.
func (p *parser) component(depth int) (*Unit, error) {
	switch c := p.next(); {
	case c == '(':
		p.at++
		inner, err := p.term(depth + 1)
		if err != nil {
			return nil, err
		}
		if p.next() != ')' {
			return nil, p.wrong("a bracket is not closed")
		}
		p.at++
		return inner, p.annotation()
	case c == '{':
		return one(), p.annotation()
	case c >= '0' && c <= '9' && !strings.HasPrefix(p.text[p.at:], "10*") && !strings.HasPrefix(p.text[p.at:], "10^"):
		return p.number()
	}
	symbol := p.symbol()
	name, exponent, err := p.split(symbol)
	if err != nil {
		return nil, err
	}
	u, err := p.simple(name)
	if err != nil {
		return nil, err
	}
	if err := p.annotation(); err != nil || exponent == 1 {
		return u, err
	}
	return p.times(one(), u, exponent)
}

func (p *parser) number() (*Unit, error) {
	start := p.at
	for c := p.next(); c >= '0' && c <= '9'; c = p.next() {
		p.at++
	}
	n, err := strconv.ParseInt(p.text[start:p.at], 10, 64)
	if err != nil || n == 0 || n > 1_000_000_000 {
		return nil, p.wrong("a number is from 1 to 1000000000")
	}
	u := one()
	u.factor.SetInt64(n)
	return u, p.annotation()
}

// annotation passes over a comment in braces, which means nothing.
func (p *parser) annotation() error {
	if p.next() != '{' {
		return nil
	}
	end := strings.IndexByte(p.text[p.at:], '}')
	if end < 0 {
		return p.wrong("a brace is not closed")
	}
	inner := p.text[p.at+1 : p.at+end]
	if strings.ContainsFunc(inner, func(r rune) bool { return r < '!' || r > '~' || r == '{' || r == '|' || r == ';' }) {
		return p.wrong("what is in braces is in plain letters, digits and signs")
	}
	p.at += end + 1
	return nil
}

// symbol reads up to the next sign; in square brackets signs are letters.
func (p *parser) symbol() string {
	start, inside := p.at, false
	for ; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; {
		case c == '[':
			inside = true
		case c == ']':
			inside = false
		case !inside && strings.IndexByte("./(){}", c) >= 0:
			return p.text[start:p.at]
		}
	}
	return p.text[start:]
}

// split parts a symbol and its exponent.
func (p *parser) split(symbol string) (name string, exponent int, err error) {
	end := len(symbol)
	for end > 0 && symbol[end-1] >= '0' && symbol[end-1] <= '9' {
		end--
	}
	if end == len(symbol) {
		return symbol, 1, nil
	}
	start := end
	if end > 0 && (symbol[end-1] == '-' || symbol[end-1] == '+') {
		start--
	}
	exponent, err = strconv.Atoi(symbol[start:])
	if name = symbol[:start]; err != nil || exponent == 0 || (exponent > maxExponent || exponent < -maxExponent) && name != "10*" && name != "10^" || exponent > 99 || exponent < -99 {
		return "", 0, p.wrong("an exponent is a number from 1 to %d, or from -1 to -%d", maxExponent, maxExponent)
	}
	return name, exponent, nil
}

// simple finds an atom, with a prefix if it takes one.
func (p *parser) simple(name string) (*Unit, error) {
	if a, ok := atoms[name]; ok {
		return a.unit(name)
	}
	for _, size := range [2]int{1, 2} {
		if len(name) <= size {
			break
		}
		a, ok := atoms[name[size:]]
		if !ok || !a.metric {
			continue
		}
		scale := big.NewRat(1, 1)
		if power, ok := prefixes[name[:size]]; ok {
			scale = tenTo(power)
		} else if n, ok := binaryPrefixes[name[:size]]; ok {
			scale.SetInt64(n)
		} else {
			continue
		}
		u, err := a.unit(name[size:])
		if err != nil {
			return nil, err
		}
		out := &Unit{factor: new(big.Rat).Mul(u.factor, scale), powers: u.powers}
		if u.offset != nil {
			out.offset = new(big.Rat).Quo(u.offset, scale)
		}
		return out, nil
	}
	if name == "" {
		return nil, p.wrong("a unit is missing")
	}
	return nil, p.wrong("there is no unit %q", name)
}

func tenTo(power int) *big.Rat {
	n := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(power, -power))), nil)
	if power < 0 {
		return new(big.Rat).SetFrac(big.NewInt(1), n)
	}
	return new(big.Rat).SetInt(n)
}

// unit is what an atom amounts to.
func (a atom) unit(code string) (*Unit, error) {
	if a.value == "" {
		return &Unit{factor: big.NewRat(1, 1), powers: map[string]int{code: 1}}, nil
	}
	value, ok := new(big.Rat).SetString(a.value)
	if !ok {
		return nil, fmt.Errorf("unit: the value of %s is %q", code, a.value)
	}
	of := one()
	if a.of != "1" {
		var err error
		if of, err = (&parser{text: a.of}).term(0); err != nil {
			return nil, err
		}
	}
	out := &Unit{factor: value.Mul(value, of.factor), powers: of.powers}
	if a.offset != "" {
		out.offset, _ = new(big.Rat).SetString(a.offset)
	}
	return out, nil
}

// times multiplies a unit by a power of another.
func (p *parser) times(u, by *Unit, exponent int) (*Unit, error) {
	if by.offset != nil || u.offset != nil {
		return nil, p.wrong("a temperature that does not begin at absolute zero cannot be part of another unit: use K")
	}
	out := &Unit{factor: new(big.Rat).Set(u.factor), powers: maps.Clone(u.powers)}
	for range max(exponent, -exponent) {
		if exponent > 0 {
			out.factor.Mul(out.factor, by.factor)
		} else {
			out.factor.Quo(out.factor, by.factor)
		}
	}
	for base, power := range by.powers {
		if out.powers[base] += exponent * power; out.powers[base] == 0 {
			delete(out.powers, base)
		}
	}
	return out, nil
}
