import pytest
from storyloom.domain.definitions import definitions, references


def names(path: str, text: str) -> list[str]:
    return [definition.name for definition in definitions(path, text)]


def test_python_is_read_by_its_own_grammar():
    found = definitions(
        "a.py",
        'LIMIT = 3\nname = 4\n"""def not_this(): ..."""\nclass Cart(Base):\n    """Doc."""\n    size: int = 0\n'
        "    def total(self, *, tax: float = 0.2) -> Decimal:\n        def inner(): ...\n        return 1\n"
        "async def main(args): ...\nif True:\n    def late(): ...\n",
    )
    assert [(d.name, d.line, d.depth) for d in found] == [
        ("LIMIT", 1, 0),
        ("Cart", 4, 0),
        ("total", 7, 1),
        ("main", 10, 0),
        ("late", 12, 0),
    ]
    assert found[2].signature == "def total(self, *, tax: float=0.2) -> Decimal"
    assert found[1].signature == "class Cart(Base)"


def test_python_that_does_not_parse_is_read_line_by_line():
    assert names("a.py", "class A:\n    def b(self:\n  def c(") == ["A", "b", "c"]


@pytest.mark.parametrize("sign", ["-", "not ", "lambda:"])
def test_python_nested_too_deeply_for_its_parser_is_read_line_by_line(sign: str):
    assert names("a.py", f"def a(): ...\nx = {sign * 100_000}1\n") == ["a"]


SOURCES = {
    "a.ts": """\
export default async function load(x: string) {
}
export class Cart extends Base {
  private async total(tax: number): Promise<number> {
    if (a) {
    }
  }
}
export interface Item {}
export type Id = string;
export const rate = (x) => x;
enum Kind { A }
""",
    "a.go": """\
func Sum(a int) int {
}
func (c *Cart) Total() int {
}
type Cart struct {
}
var x = 1
""",
    "a.rs": """\
pub fn sum(a: i32) -> i32 {
}
pub(crate) struct Cart {
}
impl Cart {
    pub async fn total(&self) {
    }
}
enum Kind { A }
trait Has {}
const LIMIT: i32 = 3;
macro_rules! say {}
""",
    "A.java": """\
public class Cart extends Base {
    private final int size = 3;
    public int total(int tax) {
        return compute(tax);
    }
    @Override
    public String toString() {
    }
}
interface Has {}
""",
    "a.kt": """\
data class Cart(val items: List<Item>) {
    override suspend fun total(tax: Int): Int {
        if (a) {
        val sum = compute(tax)
    }
}
fun String.slug(): String = this
sealed interface Shape
val LIMIT = 3
""",
    "A.cs": """\
namespace Shop;
public record Item(string Name);
public sealed class Cart : ICart
{
    public Cart(IRepository kept) : base(kept)
    {
        if (a)
        foreach (var b in c)
        else if (d)
        int e = Compute(f);
        return await Compute(g);
    }
    public async Task<Dictionary<string, int>> TotalAsync(int tax)
    {
    }
    public int Count() => 3;
}
interface IHas { }
""",
    "a.c": """\
#define LIMIT 3
struct cart {
};
static int total(struct cart *c, int tax)
{
    return sum(c);
}
int sum(struct cart *c);
void go(void) {
    if (x) {
    }
}
""",
    "a.rb": """\
module Shop
  class Cart
    LIMIT = 3
    def self.load(x)
    end
    def empty?
    end
  end
end
""",
    "a.txt": "def no(): ...",
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.ts", "load Cart total Item Id rate Kind"),
        ("a.go", "Sum Total Cart x"),
        ("a.rs", "sum Cart total Kind Has LIMIT say"),
        ("A.java", "Cart total toString Has"),
        ("a.kt", "Cart total slug Shape LIMIT"),
        ("A.cs", "Item Cart Cart TotalAsync Count IHas"),
        ("a.c", "LIMIT cart total go"),
        ("a.rb", "Shop Cart LIMIT load empty?"),
        ("a.txt", ""),
    ],
)
def test_other_languages_are_read_by_patterns(path: str, found: str):
    assert names(path, SOURCES[path]) == found.split()


@pytest.mark.parametrize("path", [path for path in SOURCES if path != "a.txt"])
def test_lines_of_spaces_cost_no_more_than_others(path: str):
    rows = "".join(f"{' ' * 990}{sign}\n  public{' ' * 980}{sign}\n" for sign in '"(+' * 30)
    assert names(path, rows + SOURCES[path]) == names(path, SOURCES[path])


def test_lines_are_counted_as_they_are_when_the_file_is_read():
    (found,) = definitions("a.go", "// one\f\n// \u2028 \x1c \x85 two\r\nfunc Third() {\r\n")
    assert (found.name, found.line, found.signature) == ("Third", 3, "func Third()")


def test_long_signatures_are_cut():
    arguments = ", ".join(f"argument_{n}" for n in range(60))
    (found,) = definitions("a.py", f"def f({arguments}): ...\n")
    assert len(found.signature) <= 160
    assert found.signature.endswith("…")


def test_references_count_identifiers():
    assert references("total = cart.total + x1 + a") == {"total": 2, "cart": 1}
