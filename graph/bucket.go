package graph

// No bucket reaches over the end of a day (UTC), however it is split or joined
// later. So the relationship from a series to a bucket has the series' id and the
// day's beginning in an index: in a series of ten million measurements a day is
// found as fast as in one of a thousand.

const (
	// bucketsOfDays finds the buckets of a series s on all days that have a part in
	// what lies from $from to before $to.
	bucketsOfDays = `
		MATCH (s)-[h:HAS_BUCKET]->(b:Bucket) USING INDEX SEEK h:HAS_BUCKET(series, day)
		WHERE h.series = s.id AND h.day > $from - 86400000 AND h.day < $to`

	// bucketsWithin finds those that reach into it.
	bucketsWithin = bucketsOfDays + ` AND b.from < $to AND b.to > $from`
)

// fewBuckets is how many buckets a page looks at first, beside those that its
// size asks for: more than a day has, unless links changed often. Then, or where
// they hold little, it looks at more.
const (
	fewBuckets  = 25
	moreBuckets = 8
)

// pageBuckets is how many buckets a page of some size looks at first: eight
// values in each are few.
func pageBuckets(size int) int { return fewBuckets + size/8 }

// The nearest buckets of a series s in an interval that hold single measurements,
// and until when, in the direction of reading, these are all of them.
const (
	nearestAfter = `
		CALL (s) {` + bucketsWithin + ` AND b.rawUntil IS NULL
			WITH h, b ORDER BY h.series, h.day LIMIT $most
			WITH collect(b) AS buckets, max(h.day) AS day
			RETURN buckets, CASE WHEN size(buckets) < $most THEN $to ELSE day END AS seen
		}`

	nearestBefore = `
		CALL (s) {` + bucketsWithin + ` AND b.rawUntil IS NULL
			WITH h, b ORDER BY h.series DESC, h.day DESC LIMIT $most
			WITH collect(b) AS buckets, min(h.day) AS day
			RETURN buckets, CASE WHEN size(buckets) < $most THEN $from ELSE day + 86400000 END AS seen
		}`
)
