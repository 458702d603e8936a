package unit

// atom is a unit that has a code of its own: so many of another unit.
type atom struct {
	// value and of say what the atom is; an empty of makes it a base unit.
	value, of string
	// metric atoms take prefixes.
	metric bool
	// offset is added, in the unit that the atom is measured in: Cel begins
	// 273.15 K above 0 K.
	offset string
}

// The base units of UCUM, those of scales that have no other unit, and bits.
var bases = []string{"m", "s", "g", "rad", "K", "C", "cd", "bit", "B", "Np", "B[SPL]", "B[V]", "B[mV]", "B[uV]", "B[W]", "B[kW]", "[iU]"}

var atoms = map[string]atom{
	// plain numbers
	"10*": {value: "10", of: "1"}, "10^": {value: "10", of: "1"}, "[pi]": {value: "3.14159265358979323846", of: "1"},
	"%": {value: "1/100", of: "1"}, "[ppth]": {value: "1/1000", of: "1"}, "[ppm]": {value: "1/1000000", of: "1"},
	"[ppb]": {value: "1/1000000000", of: "1"}, "[pptr]": {value: "1/1000000000000", of: "1"},
	"mol": {value: "602214076000000000000000", of: "1", metric: true}, "[pH]": {},

	// derived units of the SI
	"sr": {"1", "rad2", true, ""}, "Hz": {"1", "s-1", true, ""}, "N": {"1", "kg.m/s2", true, ""}, "Pa": {"1", "N/m2", true, ""},
	"J": {"1", "N.m", true, ""}, "W": {"1", "J/s", true, ""}, "A": {"1", "C/s", true, ""}, "V": {"1", "J/C", true, ""},
	"F": {"1", "C/V", true, ""}, "Ohm": {"1", "V/A", true, ""}, "S": {"1", "Ohm-1", true, ""}, "Wb": {"1", "V.s", true, ""},
	"T": {"1", "Wb/m2", true, ""}, "H": {"1", "Wb/A", true, ""}, "lm": {"1", "cd.sr", true, ""}, "lx": {"1", "lm/m2", true, ""},
	"Bq": {"1", "s-1", true, ""}, "Gy": {"1", "J/kg", true, ""}, "Sv": {"1", "J/kg", true, ""}, "kat": {"1", "mol/s", true, ""},

	// temperatures
	"Cel": {"1", "K", true, "273.15"}, "[degF]": {"5/9", "K", false, "459.67"}, "[degR]": {"5/9", "K", false, ""},

	// angles, times, areas, volumes, masses, pressures that are used with the SI
	"deg": {"1/180", "[pi].rad", false, ""}, "gon": {"9/10", "deg", false, ""}, "'": {"1/60", "deg", false, ""}, "''": {"1/60", "'", false, ""},
	"circ": {"2", "[pi].rad", false, ""},
	"min":  {"60", "s", false, ""}, "h": {"60", "min", false, ""}, "d": {"24", "h", false, ""}, "wk": {"7", "d", false, ""},
	"mo": {"30.4375", "d", false, ""}, "a": {"365.25", "d", false, ""},
	"l": {"1", "dm3", true, ""}, "L": {"1", "l", true, ""}, "ar": {"100", "m2", true, ""}, "har": {"100", "ar", false, ""},
	"t": {"1000", "kg", true, ""}, "bar": {"100000", "Pa", true, ""}, "atm": {"101325", "Pa", false, ""},
	"eV": {"0.0000000000000000001602176634", "J", true, ""}, "[g]": {"9.80665", "m/s2", true, ""}, "[c]": {"299792458", "m/s", true, ""},
	"gf": {"1", "g.[g]", true, ""}, "AU": {"149597870700", "m", false, ""}, "u": {"0.00000000000000000000000166053906660", "g", true, ""},
	"m[Hg]": {"133322", "Pa", true, ""}, "m[H2O]": {"9806.65", "Pa", true, ""},

	// older systems
	"dyn": {"1", "g.cm/s2", true, ""}, "erg": {"1", "dyn.cm", true, ""}, "P": {"1", "dyn.s/cm2", true, ""}, "St": {"1", "cm2/s", true, ""},
	"Gal": {"1", "cm/s2", true, ""}, "G": {"1/10000", "T", true, ""}, "Ci": {"37000000000", "Bq", true, ""}, "R": {"0.000258", "C/kg", true, ""},
	"RAD": {"1/100", "Gy", true, ""}, "REM": {"1/100", "Sv", true, ""},
	"cal": {"4.184", "J", true, ""}, "[Cal]": {"1", "kcal", false, ""},

	// lengths, areas and volumes in inches and feet
	"[in_i]": {"2.54", "cm", false, ""}, "[ft_i]": {"12", "[in_i]", false, ""}, "[yd_i]": {"3", "[ft_i]", false, ""}, "[mi_i]": {"5280", "[ft_i]", false, ""},
	"[mil_i]": {"1/1000", "[in_i]", false, ""}, "[nmi_i]": {"1852", "m", false, ""}, "[kn_i]": {"1", "[nmi_i]/h", false, ""},
	"[sin_i]": {"1", "[in_i]2", false, ""}, "[sft_i]": {"1", "[ft_i]2", false, ""}, "[syd_i]": {"1", "[yd_i]2", false, ""},
	"[cin_i]": {"1", "[in_i]3", false, ""}, "[cft_i]": {"1", "[ft_i]3", false, ""}, "[cyd_i]": {"1", "[yd_i]3", false, ""},
	"[acr_br]": {"4840", "[yd_i]2", false, ""},
	"[gal_us]": {"231", "[in_i]3", false, ""}, "[qt_us]": {"1/4", "[gal_us]", false, ""}, "[pt_us]": {"1/2", "[qt_us]", false, ""},
	"[foz_us]": {"1/16", "[pt_us]", false, ""}, "[bbl_us]": {"42", "[gal_us]", false, ""}, "[gal_br]": {"4.54609", "l", false, ""},

	// masses, forces, pressures, energies and powers in pounds
	"[lb_av]": {"453.59237", "g", false, ""}, "[oz_av]": {"1/16", "[lb_av]", false, ""}, "[gr]": {"64.79891", "mg", false, ""},
	"[ston_av]": {"2000", "[lb_av]", false, ""}, "[lton_av]": {"2240", "[lb_av]", false, ""},
	"[lbf_av]": {"1", "[lb_av].[g]", false, ""}, "[psi]": {"1", "[lbf_av]/[in_i]2", false, ""}, "[HP]": {"550", "[ft_i].[lbf_av]/s", false, ""},
	"[in_i'Hg]": {"1", "m[Hg].[in_i]/m", false, ""}, "[in_i'H2O]": {"1", "m[H2O].[in_i]/m", false, ""},
	"[Btu_IT]": {"1.05505585262", "kJ", false, ""}, "[Btu]": {"1", "[Btu_IT]", false, ""},

	// information
	"By": {"8", "bit", true, ""}, "Bd": {"1", "bit/s", true, ""},
}

// prefixes as powers of ten, and of 1024.
var prefixes = map[string]int{
	"Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1,
	"d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21, "y": -24,
}

var binaryPrefixes = map[string]int64{"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}

func init() {
	for _, code := range bases {
		atoms[code] = atom{metric: true}
	}
}
