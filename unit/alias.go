package unit

import "strings"

// aliases are whole texts that people write for a code. C alone is a
// temperature here: coulombs are rarely measured, and can be written A.s.
var aliases = map[string]string{
	"°C": "Cel", "℃": "Cel", "degC": "Cel", "C": "Cel", "celsius": "Cel", "Celsius": "Cel",
	"°F": "[degF]", "℉": "[degF]", "degF": "[degF]", "fahrenheit": "[degF]", "Fahrenheit": "[degF]", "°K": "K", "kelvin": "K",
	"%RH": "%", "%rh": "%", "%rH": "%", "% RH": "%", "RH%": "%", "percent": "%", "pct": "%",
	"ppm": "[ppm]", "ppb": "[ppb]", "‰": "[ppth]", "pH": "[pH]", "°": "deg", "degree": "deg", "degrees": "deg",
	"sec": "s", "second": "s", "seconds": "s", "minute": "min", "minutes": "min", "hour": "h", "hours": "h", "hr": "h", "day": "d", "days": "d",
	"Wh": "W.h", "kWh": "kW.h", "MWh": "MW.h", "GWh": "GW.h", "Ah": "A.h", "mAh": "mA.h",
	"VA": "V.A", "kVA": "kV.A", "MVA": "MV.A", "var": "V.A{reactive}", "VAr": "V.A{reactive}", "kvar": "kV.A{reactive}", "kVAr": "kV.A{reactive}",
	"VAh": "V.A.h", "kVAh": "kV.A.h", "varh": "V.A.h{reactive}", "kvarh": "kV.A.h{reactive}",
	"lux": "lx", "lumen": "lm", "ohm": "Ohm", "ohms": "Ohm", "volt": "V", "volts": "V", "watt": "W", "watts": "W", "amp": "A", "amps": "A", "hertz": "Hz",
	"metre": "m", "meter": "m", "metres": "m", "meters": "m", "litre": "L", "liter": "L", "litres": "L", "liters": "L", "tonne": "t",
	"psi": "[psi]", "PSI": "[psi]", "mmHg": "mm[Hg]", "inHg": "[in_i'Hg]", "mmH2O": "mm[H2O]", "inH2O": "[in_i'H2O]", "mbar": "mbar", "hp": "[HP]",
	"in": "[in_i]", "inch": "[in_i]", "ft": "[ft_i]", "foot": "[ft_i]", "feet": "[ft_i]", "yd": "[yd_i]", "mi": "[mi_i]", "mile": "[mi_i]", "miles": "[mi_i]",
	"ft2": "[ft_i]2", "sqft": "[ft_i]2", "ft3": "[ft_i]3", "sqm": "m2", "ha": "har",
	"lb": "[lb_av]", "lbs": "[lb_av]", "oz": "[oz_av]", "gal": "[gal_us]", "gpm": "[gal_us]/min", "cfm": "[ft_i]3/min",
	"mph": "[mi_i]/h", "kph": "km/h", "kmh": "km/h", "kmph": "km/h", "mps": "m/s", "kn": "[kn_i]", "kt": "[kn_i]", "knot": "[kn_i]", "knots": "[kn_i]",
	"rpm": "{revolutions}/min", "RPM": "{revolutions}/min", "BTU": "[Btu_IT]", "Btu": "[Btu_IT]", "BTU/h": "[Btu_IT]/h",
	"dBm": "dB{mW}", "dBA": "dB[SPL]{A}", "dB(A)": "dB[SPL]{A}",
	"bps": "bit/s", "kbps": "kbit/s", "Mbps": "Mbit/s", "Gbps": "Gbit/s", "bytes": "By", "byte": "By", "kB": "kBy", "MB": "MBy", "GB": "GBy", "bits": "bit",
	"count": "{count}", "counts": "{count}", "pcs": "{pieces}",
}

// signs are written for other signs anywhere in a code.
var signs = strings.NewReplacer(
	"µ", "u", "μ", "u", "Ω", "Ohm", "Ω", "Ohm", "²", "2", "³", "3", "·", ".", "⋅", ".", "⁻¹", "-1", "⁻²", "-2", "⁻³", "-3", "°C", "Cel", "°F", "[degF]", "°", "deg",
)

// Alias is the code that a text stands for: the text itself unless it is
// commonly written for another.
func Alias(text string) string {
	text = strings.TrimSpace(text)
	if code, ok := aliases[text]; ok {
		return code
	}
	return signs.Replace(text)
}
